package trace

import "github.com/graftlm/graft/bindings"

func (d *Tracer) Zero(dst bindings.Tensor) {
	d.begin("zero")
	d.set(dst, d.fill(0, elem(dst.DType), dst.Shape.Dims()...))
}

func (d *Tracer) Cast(dst, src bindings.Tensor) {
	d.begin("cast")
	d.set(dst, d.get(src))
}

func (d *Tracer) Add(dst, a, b bindings.Tensor) {
	d.begin("add")
	d.set(dst, d.add(d.wide(d.get(a)), d.wide(d.reshape(d.get(b), a.Shape.Dims()...))))
}

// Order makes then depend on first.
func (d *Tracer) Order(first, then bindings.Tensor) {
	if !first.Valid() || !then.Valid() {
		return
	}
	d.begin("order")
	c := d.cell(then)
	dirty := c.dirty
	d.set(then, d.after(d.get(then), d.get(first)))
	c.dirty = dirty
}

func (d *Tracer) SwiGLU(y, gate, up bindings.Tensor) {
	d.begin("swiglu")
	g := d.wide(d.get(gate))
	d.set(y, d.mul(d.mul(g, d.op("logistic", g)), d.wide(d.get(up))))
}

// SwiGLUBackward: silu'(g) = σ(g)·(1 + g·(1 − σ(g))). σ is computed anew, not
// kept from the forward pass.
func (d *Tracer) SwiGLUBackward(dgate, dup, dy, gate, up bindings.Tensor) {
	d.begin("swiglu_backward")
	v := d.wide(d.get(dy))
	g, u := d.after(d.wide(d.get(gate)), v), d.wide(d.get(up))
	s := d.op("logistic", g)
	one := d.num(1, g)
	slope := d.mul(s, d.add(one, d.mul(g, d.sub(one, s))))
	d.set(dgate, d.mul(d.mul(v, u), slope))
	d.set(dup, d.mul(v, d.mul(g, s)))
}

package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

func (d *device[F]) Zero(dst bindings.Tensor) {
	d.types.Zero(dst)
	if d.begin("zero", dst) {
		clear(slice[byte](d, dst))
	}
}

// Cast is the one operation between any two floating-point types.
func (d *device[F]) Cast(dst, src bindings.Tensor) {
	d.types.Cast(dst, src)
	if !d.begin("cast") {
		return
	}
	for _, t := range []bindings.Tensor{dst, src} {
		if _, err := d.bytes(t); err != nil {
			d.fail("cast", "%v", err)
			return
		}
	}
	f := d.load(src)
	if d.native(dst) {
		copy(slice[F](d, dst), f)
		return
	}
	d.store(dst, f)
}

func (d *device[F]) Add(dst, a, b bindings.Tensor) {
	d.types.Add(dst, a, b)
	if !d.begin("add", dst, a, b) {
		return
	}
	out, x, y := d.load(dst), d.load(a), d.load(b)
	for i := range out {
		out[i] = x[i] + y[i]
	}
	d.store(dst, out)
}

func (d *device[F]) Order(first, then bindings.Tensor) {}

func (d *device[F]) SwiGLU(y, gate, up bindings.Tensor) {
	d.types.SwiGLU(y, gate, up)
	if !d.begin("swiglu", y, gate, up) {
		return
	}
	out, a, b := d.load(y), d.load(gate), d.load(up)
	for i := range out {
		out[i] = F(float64(a[i]) * sigmoid(float64(a[i])) * float64(b[i]))
	}
	d.store(y, out)
}

// SwiGLUBackward: silu'(g) = σ(g)·(1 + g·(1 − σ(g))).
func (d *device[F]) SwiGLUBackward(dgate, dup, dy, gate, up bindings.Tensor) {
	d.types.SwiGLUBackward(dgate, dup, dy, gate, up)
	if !d.begin("swiglu_backward", dgate, dup, dy, gate, up) {
		return
	}
	ga, gb, g, a, b := d.load(dgate), d.load(dup), d.load(dy), d.load(gate), d.load(up)
	for i := range g {
		x, u, dv := float64(a[i]), float64(b[i]), float64(g[i])
		s := sigmoid(x)
		ga[i], gb[i] = F(dv*u*s*(1+x*(1-s))), F(dv*x*s)
	}
	d.store(dgate, ga)
	d.store(dup, gb)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

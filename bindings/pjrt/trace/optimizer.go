package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

func (d *Tracer) GradNorm(norm, g, loss bindings.Tensor, maxNorm float64) {
	d.begin("grad_norm")
	v := d.get(g)
	n := d.op("sqrt", d.total(d.mul(v, v)))
	clip := d.num(1, n)
	if maxNorm > 0 {
		clip = d.op("minimum", clip, d.div(d.num(maxNorm, n), d.add(n, d.num(1e-6, n))))
	}
	finite := d.op("and", d.finite(n), d.finite(d.at(d.reshape(d.get(loss), loss.Len()), 0)))
	one := d.convert(finite, "f32")
	steps := d.add(d.at(d.get(norm), 3), one)
	var parts []value
	for _, p := range []value{n, clip, one, steps} {
		parts = append(parts, d.reshape(p, 1))
	}
	d.set(norm, d.concat(0, parts...))
}

func (d *Tracer) finite(x value) value {
	return d.emit("i1", x.dims, "stablehlo.is_finite %s : (%s) -> %s", x.name, x.typ(), typ("i1", x.dims))
}

func (d *Tracer) AdamW(p, m, v, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	d.begin("adamw")
	state, oldP, oldM, oldV := d.get(norm), d.get(p), d.get(m), d.get(v)
	newP, newM, newV := d.adamw(oldP, oldM, oldV, d.get(g), state, d.at(d.get(lr), 0), h)
	apply := d.spread(d.compare("NE", d.at(state, 2), d.fill(0, "f32")), oldP.dims)
	d.set(p, d.choose(apply, newP, oldP))
	d.set(m, d.choose(apply, newM, oldM))
	d.set(v, d.choose(apply, newV, oldV))
}

// adamw is torch.optim.AdamW. 1 − βᵗ is taken as −expm1(t·ln β), which loses no
// digits in the first steps.
func (d *Tracer) adamw(oldP, oldM, oldV, grad, state, rate value, h bindings.AdamWHyper) (newP, newM, newV value) {
	clip, steps := d.at(state, 1), d.at(state, 3)
	rate = d.scale(rate, h.LRScale)
	bias := func(beta float64) value {
		return d.op("negate", d.op("exponential_minus_one", d.scale(steps, math.Log(beta))))
	}
	all := func(x value) value { return d.spread(x, oldP.dims) }
	grad = d.mul(grad, all(clip))
	mix := func(old, x value, beta float64) value { return d.add(d.scale(old, beta), d.scale(x, 1-beta)) }
	newM, newV = mix(oldM, grad, h.Beta1), mix(oldV, d.mul(grad, grad), h.Beta2)
	den := d.div(d.op("sqrt", newV), all(d.op("sqrt", bias(h.Beta2))))
	den = d.add(den, d.num(h.Eps, den))
	change := d.div(d.mul(newM, all(d.div(rate, bias(h.Beta1)))), den)
	decayed := d.mul(oldP, all(d.sub(d.num(1, rate), d.scale(rate, h.WeightDecay))))
	return d.sub(decayed, change), newM, newV
}

// AdamWBF16 rounds what adamw gives at random. A compiler may fuse products and
// sums, so that one value in thousands falls on the other side.
func (d *Tracer) AdamWBF16(p, m, v, g, norm, lr, seed bindings.Tensor, h bindings.AdamWHyper) {
	d.begin("adamw_bf16")
	state, oldP, oldM, oldV := d.get(norm), d.get(p), d.get(m), d.get(v)
	newP, newM, newV := d.adamw(d.convert(oldP, "f32"), oldM, oldV, d.get(g), state, d.at(d.get(lr), 0), h)
	words := d.reshape(d.words(newP.len(), 0, d.get(seed)), newP.dims...)
	bits := d.add(d.bitcast(newP, "ui32"), d.op("shift_right_logical", words, d.num(16, words)))
	high := d.bitcast(d.op("and", bits, d.num(0xffff0000, bits)), "f32")
	apply := d.spread(d.compare("NE", d.at(state, 2), d.fill(0, "f32")), oldP.dims)
	d.set(p, d.choose(apply, d.convert(d.choose(d.finite(newP), high, newP), oldP.elem), oldP))
	d.set(m, d.choose(apply, newM, oldM))
	d.set(v, d.choose(apply, newV, oldV))
}

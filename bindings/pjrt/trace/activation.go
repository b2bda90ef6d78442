package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// activation is f(x) and, if wanted, its slope.
func (d *Tracer) activation(f bindings.ActivationFunction, x value, wanted bool) (y, slope value) {
	one := d.num(1, x)
	switch f {
	case bindings.GELU:
		cdf := d.scale(d.emit(x.elem, x.dims, "chlo.erfc %s : %s -> %s", d.scale(x, -math.Sqrt(0.5)).name, x.typ(), x.typ()), 0.5)
		if wanted {
			density := d.scale(d.op("exponential", d.scale(d.mul(x, x), -0.5)), 1/math.Sqrt(2*math.Pi))
			slope = d.add(cdf, d.mul(x, density))
		}
		return d.mul(x, cdf), slope
	case bindings.GELUTanh:
		const c = 0.044715
		root, square := math.Sqrt(8/math.Pi), d.mul(x, x)
		s := d.op("logistic", d.scale(d.mul(x, d.add(one, d.scale(square, c))), root))
		if wanted {
			inner := d.scale(d.add(one, d.scale(square, 3*c)), root)
			slope = d.add(s, d.mul(d.mul(x, d.mul(s, d.sub(one, s))), inner))
		}
		return d.mul(x, s), slope
	case bindings.Tanh:
		if wanted { // 1 − tanh² without the cancellation
			e := d.op("exponential", d.scale(d.op("abs", x), -2))
			slope = d.div(d.scale(e, 4), d.mul(d.add(one, e), d.add(one, e)))
		}
		return d.op("tanh", x), slope
	}
	zero := d.num(0, x)
	positive := d.compare("GT", x, zero)
	return d.op("maximum", x, zero), d.choose(positive, one, zero)
}

func (d *Tracer) Activation(y, x bindings.Tensor, f bindings.ActivationFunction) {
	d.begin("activation")
	v, _ := d.activation(f, d.wide(d.get(x)), false)
	d.set(y, v)
}

func (d *Tracer) ActivationBackward(dx, dy, x bindings.Tensor, f bindings.ActivationFunction) {
	d.begin("activation_backward")
	g := d.wide(d.reshape(d.get(dy), x.Shape.Dims()...))
	_, slope := d.activation(f, d.after(d.wide(d.get(x)), g), true)
	d.set(dx, d.mul(g, slope))
}

package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// activation is f(x) and its slope.
func activation(f bindings.ActivationFunction, x float64) (y, slope float64) {
	switch f {
	case bindings.GELU:
		cdf := math.Erfc(-x/math.Sqrt2) / 2
		return x * cdf, cdf + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case bindings.GELUTanh:
		const c = 0.044715
		root := math.Sqrt(8 / math.Pi)
		s := sigmoid(root * (x + c*x*x*x))
		return x * s, s + x*s*(1-s)*root*(1+3*c*x*x)
	case bindings.Tanh:
		e := math.Exp(-2 * math.Abs(x))
		return math.Tanh(x), 4 * e / ((1 + e) * (1 + e)) // 1 − tanh² without the cancellation
	}
	if x > 0 {
		return x, 1
	}
	return min(x, 0) * 0, 0
}

func (d *device[F]) Activation(y, x bindings.Tensor, f bindings.ActivationFunction) {
	d.types.Activation(y, x, f)
	if !d.begin("activation", y, x) {
		return
	}
	out, in := d.load(y), d.load(x)
	for i, v := range in {
		a, _ := activation(f, float64(v))
		out[i] = F(a)
	}
	d.store(y, out)
}

func (d *device[F]) ActivationBackward(dx, dy, x bindings.Tensor, f bindings.ActivationFunction) {
	d.types.ActivationBackward(dx, dy, x, f)
	if !d.begin("activation_backward", dx, dy, x) {
		return
	}
	out, g, in := d.load(dx), d.load(dy), d.load(x)
	for i, v := range in {
		_, slope := activation(f, float64(v))
		out[i] = F(float64(g[i]) * slope)
	}
	d.store(dx, out)
}

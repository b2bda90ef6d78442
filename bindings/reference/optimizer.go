package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

func (d *device[F]) GradNorm(norm, g, loss bindings.Tensor, maxNorm float64) {
	d.types.GradNorm(norm, g, loss, maxNorm)
	if !d.begin("grad_norm", norm, g, loss) {
		return
	}
	out, grads := d.load(norm), d.load(g)
	n := math.Sqrt(dot(grads, grads))
	clip, finite := 1.0, F(0)
	if maxNorm > 0 {
		clip = min(1, maxNorm/(n+1e-6))
	}
	l := float64(d.load(loss)[0])
	if !math.IsNaN(n) && !math.IsInf(n, 0) && !math.IsNaN(l) && !math.IsInf(l, 0) {
		finite = 1
	}
	out[0], out[1], out[2] = F(n), F(clip), finite
	out[3] += finite
	d.store(norm, out)
}

// AdamW is torch.optim.AdamW: decoupled decay, then
// p −= lr/(1−β₁ᵗ)·m / (√v/√(1−β₂ᵗ) + eps).
func (d *device[F]) AdamW(p, m, v, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	d.types.AdamW(p, m, v, g, norm, lr, h)
	if !d.begin("adamw", p, m, v, g, norm, lr) {
		return
	}
	state := d.load(norm)
	if state[2] == 0 {
		return
	}
	ps, ms, vs := d.load(p), d.load(m), d.load(v)
	clip, steps, rate := float64(state[1]), float64(state[3]), float64(d.load(lr)[0])*h.LRScale
	c1, c2 := 1-math.Pow(h.Beta1, steps), math.Sqrt(1-math.Pow(h.Beta2, steps))
	for i, gi := range d.load(g) {
		grad := float64(gi) * clip
		first := h.Beta1*float64(ms[i]) + (1-h.Beta1)*grad
		second := h.Beta2*float64(vs[i]) + (1-h.Beta2)*grad*grad
		decayed := float64(ps[i]) * (1 - rate*h.WeightDecay)
		ms[i], vs[i] = F(first), F(second)
		ps[i] = F(decayed - rate/c1*first/(math.Sqrt(second)/c2+h.Eps))
	}
	d.store(p, ps)
	d.store(m, ms)
	d.store(v, vs)
}

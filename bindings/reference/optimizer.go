package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
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
	if d.load(norm)[2] == 0 {
		return
	}
	ps, ms, vs := d.load(p), d.load(m), d.load(v)
	update(ps, ms, vs, d.load(g), d.load(norm), float64(d.load(lr)[0]), h)
	d.store(p, ps)
	d.store(m, ms)
	d.store(v, vs)
}

// update is one step on values and moments.
func update[F real](ps, ms, vs, g, norm []F, lr float64, h bindings.AdamWHyper) {
	clip, steps, rate := float64(norm[1]), float64(norm[3]), lr*h.LRScale
	c1, c2 := 1-math.Pow(h.Beta1, steps), math.Sqrt(1-math.Pow(h.Beta2, steps))
	for i, gi := range g {
		grad := float64(gi) * clip
		first := h.Beta1*float64(ms[i]) + (1-h.Beta1)*grad
		second := h.Beta2*float64(vs[i]) + (1-h.Beta2)*grad*grad
		decayed := float64(ps[i]) * (1 - rate*h.WeightDecay)
		ms[i], vs[i] = F(first), F(second)
		ps[i] = F(decayed - rate/c1*first/(math.Sqrt(second)/c2+h.Eps))
	}
}

// AdamW8 decodes the moments, updates, and codes them again.
func (d *device[F]) AdamW8(p, m, v, mScale, vScale, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	d.types.AdamW8(p, m, v, mScale, vScale, g, norm, lr, h)
	if !d.begin("adamw8", p, mScale, vScale, g, norm, lr) {
		return
	}
	if d.load(norm)[2] == 0 {
		return
	}
	ps, mc, vc, ss, ts := d.load(p), slice[byte](d, m), slice[byte](d, v), d.load(mScale), d.load(vScale)
	ms, vs := make([]F, len(ps)), make([]F, len(ps))
	for i := range ps {
		ms[i] = F(quant.Signed[mc[i]]) * ss[i/bindings.StateBlock]
		vs[i] = F(quant.Unsigned[vc[i]]) * ts[i/bindings.StateBlock]
	}
	update(ps, ms, vs, d.load(g), d.load(norm), float64(d.load(lr)[0]), h)
	for b := range ss {
		from, to := b*bindings.StateBlock, min((b+1)*bindings.StateBlock, len(ps))
		ss[b] = code(mc[from:to], ms[from:to], quant.NearestSigned)
		ts[b] = code(vc[from:to], vs[from:to], quant.NearestUnsigned)
	}
	d.store(p, ps)
	d.store(mScale, ss)
	d.store(vScale, ts)
}

// code writes the codes of a block and gives its scale.
func code[F real](codes []byte, values []F, nearest func(float32) byte) (scale F) {
	for _, v := range values {
		scale = max(scale, max(v, -v))
	}
	for i, v := range values {
		codes[i] = nearest(float32(v / max(scale, 1e-38)))
	}
	return scale
}

// AdamWBF16 keeps the order and the roundings that the operation defines, so in
// float32 it gives the bits of every device.
func (d *device[F]) AdamWBF16(p, m, v, g, norm, lr, seed bindings.Tensor, h bindings.AdamWHyper) {
	d.types.AdamWBF16(p, m, v, g, norm, lr, seed, h)
	if !d.begin("adamw_bf16", p, m, v, g, norm, lr, seed) {
		return
	}
	state := d.load(norm)
	if state[2] == 0 {
		return
	}
	beta1, beta2, words := F(h.Beta1), F(h.Beta2), d.words(seed)
	rate := float64(float64(d.load(lr)[0]) * float64(F(h.LRScale)))
	keep := F(1 - float64(rate*float64(F(h.WeightDecay))))
	fast := F(rate / (1 - power(float64(beta1), int(state[3]))))
	root := F(1 / math.Sqrt(1-power(float64(beta2), int(state[3]))))
	ps, ms, vs := d.load(p), d.load(m), d.load(v)
	for i, gi := range d.load(g) {
		grad := F(gi * state[1])
		ms[i] = F(F(ms[i]*beta1) + F(grad*(1-beta1)))
		vs[i] = F(F(vs[i]*beta2) + F(F(grad*grad)*(1-beta2)))
		change := F(F(fast*ms[i]) / F(F(F(math.Sqrt(float64(vs[i])))*root)+F(h.Eps)))
		word := bindings.Philox([4]uint32{uint32(i / 4), 0, words[2], words[3]}, [2]uint32{words[0], words[1]})[i%4]
		ps[i] = F(stochastic(float32(F(ps[i]*keep)-change), word>>16))
	}
	d.store(p, ps)
	d.store(m, ms)
	d.store(v, vs)
}

// power is xⁿ by repeated squaring.
func power(x float64, n int) float64 {
	all := 1.0
	for ; n > 0; n /= 2 {
		if n%2 == 1 {
			all = float64(all * x)
		}
		x = float64(x * x)
	}
	return all
}

// stochastic rounds to bf16, up with the probability of what is cut off; r has
// 16 random bits.
func stochastic(x float32, r uint32) float32 {
	bits := math.Float32bits(x)
	if bits&0x7f800000 == 0x7f800000 {
		return bindings.BF16ToFloat(bindings.FloatToBF16(x))
	}
	return math.Float32frombits((bits + r) &^ 0xffff)
}

package optest

import "github.com/graftlm/graft/bindings"

// norm describes a case of the norm and its backward pass.
type norm struct {
	name       string
	residual   bool
	inPlace    bool
	unitOffset bool
	f32Weight  bool
	eps        float64
}

func (c norm) args(m *maker, s [2]int, x, residual bindings.Tensor) bindings.NormArgs {
	a := bindings.NormArgs{X: x, Residual: residual, Eps: c.eps, UnitOffset: c.unitOffset}
	if c.f32Weight {
		a.W = m.stat("w", s[1])
	} else {
		a.W = m.in("w", s[1])
	}
	return a
}

// terms: the sum of squares, and a few operations on each element.
func (c norm) terms(s [2]int) int { return s[1] + 8 }

func (c norm) forward(s [2]int) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(c.terms(s), 1) // x·rstd is rounded before the weight
		if c.unitOffset {
			m.accuracy(c.terms(s), 0)
		}
		y, rstd := m.out("y", s[0], s[1]), m.outStat("rstd", s[0])
		var sum, residual, x bindings.Tensor
		if c.inPlace {
			x = m.change("x", s[0], s[1])
			sum = x
		} else {
			x = m.in("x", s[0], s[1])
		}
		if c.residual {
			m.roundings++ // the sum, which is what is normalised
			residual = m.in("residual", s[0], s[1])
			if !c.inPlace {
				sum = m.out("sum", s[0], s[1])
			}
		}
		a := c.args(m, s, x, residual)
		return func(ops bindings.Ops) { ops.RMSNorm(y, sum, rstd, a) }
	}
}

// normBackward is which gradients are wanted.
type normBackward struct {
	name    string
	dx, dw  bool
	inPlace bool
	how     bindings.Write
}

func (c norm) backward(s [2]int, b normBackward) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(c.terms(s)+s[0], 1)
		x := m.in("x", s[0], s[1])
		rstd := m.saved("rstd", m.statType(), must(c.forward(s), m.act)["rstd"], s[0])
		a := c.args(m, s, x, bindings.Tensor{})
		var dx, dw, dy bindings.Tensor
		switch {
		case b.inPlace:
			dy = m.change("dy", s[0], s[1])
			dx = dy
		case b.dx && b.how == bindings.Accumulate:
			dx = m.change("dx", s[0], s[1])
		case b.dx:
			dx = m.out("dx", s[0], s[1])
		}
		if !b.inPlace {
			dy = m.in("dy", s[0], s[1])
		}
		if b.dw {
			dw = m.sum("dw", s[1])
		}
		return func(ops bindings.Ops) { ops.RMSNormBackward(dx, b.how, dw, dy, rstd, a) }
	}
}

func normCases() (all []Case) {
	norms := []norm{
		{name: "", eps: 1e-5},
		{name: "f32 weight ", eps: 1e-5, f32Weight: true},
		{name: "large eps ", eps: 1},
		{name: "unit offset ", eps: 1e-6, unitOffset: true},
		{name: "residual ", eps: 1e-5, residual: true},
		{name: "residual in place ", eps: 1e-5, residual: true, inPlace: true},
	}
	grads := []normBackward{
		{name: "set ", dx: true, dw: true},
		{name: "accumulate ", dx: true, dw: true, how: bindings.Accumulate},
		{name: "in place ", dx: true, dw: true, inPlace: true},
		{name: "dx only ", dx: true},
		{name: "dw only ", dw: true},
	}
	for _, s := range append(matrices, [2]int{5, 576}) {
		for _, c := range norms {
			all = append(all, Case{Op: "rms_norm", Variant: sized(c.name, s), build: c.forward(s)})
			if c.residual {
				continue
			}
			for _, b := range grads {
				all = append(all, Case{Op: "rms_norm_backward", Variant: sized(c.name+b.name, s), build: c.backward(s, b)})
			}
		}
	}
	bench := [2]int{1024, 576}
	all = append(all,
		Case{Op: "rms_norm", Variant: sized("bench ", bench), bench: true, build: norms[0].forward(bench)},
		Case{Op: "rms_norm_backward", Variant: sized("bench ", bench), bench: true, build: norms[0].backward(bench, grads[0])})
	return all
}

package optest

import "github.com/graftlm/graft/bindings"

// layerNorm describes a case of the layer norm and its backward pass.
type layerNorm struct {
	name              string
	residual, inPlace bool
	f32Weight         bool
	eps               float64
}

func (c layerNorm) args(m *maker, s [2]int, x, residual bindings.Tensor) bindings.LayerNormArgs {
	param := m.in
	if c.f32Weight {
		param = m.stat
	}
	return bindings.LayerNormArgs{X: x, Residual: residual, W: param("w", s[1]), Bias: param("bias", s[1]), Eps: c.eps}
}

func (c layerNorm) forward(s [2]int) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(2*s[1]+8, 0) // the sums of the mean and of the variance
		y, mean, rstd := m.out("y", s[0], s[1]), m.outStat("mean", s[0]), m.outStat("rstd", s[0])
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
		return func(ops bindings.Ops) { ops.LayerNorm(y, sum, mean, rstd, a) }
	}
}

func (c layerNorm) backward(s [2]int, b normBackward) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(2*s[1]+s[0]+8, 0)
		x, saved := m.in("x", s[0], s[1]), must(c.forward(s), m.act)
		mean := m.saved("mean", m.statType(), saved["mean"], s[0])
		rstd := m.saved("rstd", m.statType(), saved["rstd"], s[0])
		a := c.args(m, s, x, bindings.Tensor{})
		var dx, dw, dbias, dy bindings.Tensor
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
			dw, dbias = m.sum("dw", s[1]), m.sum("dbias", s[1])
		}
		return func(ops bindings.Ops) { ops.LayerNormBackward(dx, b.how, dw, dbias, dy, mean, rstd, a) }
	}
}

func layerNormCases() (all []Case) {
	norms := []layerNorm{
		{name: "", eps: 1e-12},
		{name: "f32 weight ", eps: 1e-5, f32Weight: true},
		{name: "large eps ", eps: 1},
		{name: "residual ", eps: 1e-12, residual: true},
		{name: "residual in place ", eps: 1e-12, residual: true, inPlace: true},
	}
	grads := []normBackward{
		{name: "set ", dx: true, dw: true},
		{name: "accumulate ", dx: true, dw: true, how: bindings.Accumulate},
		{name: "in place ", dx: true, dw: true, inPlace: true},
		{name: "dx only ", dx: true},
		{name: "dw only ", dw: true},
	}
	// A row of one element is its own mean: what is left is rounding, so it is
	// held to the formula with an eps that dwarfs it.
	single := layerNorm{name: "one element ", eps: 1}
	all = append(all, Case{Op: "layer_norm", Variant: sized(single.name, [2]int{3, 1}), build: single.forward([2]int{3, 1})})
	for _, s := range [][2]int{{1, 3}, {7, 63}, {3, 64}, {65, 129}, {0, 16}, {5, 384}} {
		for _, c := range norms {
			all = append(all, Case{Op: "layer_norm", Variant: sized(c.name, s), build: c.forward(s)})
			if c.residual {
				continue
			}
			for _, b := range grads {
				all = append(all, Case{Op: "layer_norm_backward", Variant: sized(c.name+b.name, s), build: c.backward(s, b)})
			}
		}
	}
	bench := [2]int{1024, 384}
	return append(all,
		Case{Op: "layer_norm", Variant: sized("bench ", bench), bench: true, build: norms[0].forward(bench)},
		Case{Op: "layer_norm_backward", Variant: sized("bench ", bench), bench: true, build: norms[0].backward(bench, grads[0])})
}

package optest

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
)

// magnitude describes a case of the scaling of columns.
type magnitude struct {
	residual, bias, f32Bias, gate bool
	inPlace                       string // z or residual; "": neither
}

func (c magnitude) String() (s string) {
	for _, part := range []struct {
		on   bool
		name string
	}{{c.residual, "residual "}, {c.bias, "bias "}, {c.f32Bias, "f32 bias "}, {c.gate, "gate "}} {
		if part.on {
			s += part.name
		}
	}
	if c.inPlace != "" {
		s += "in place of " + c.inPlace + " "
	}
	return s
}

// lengths are positive numbers, as norms are.
func (m *maker) lengths(name string, n int) bindings.Tensor {
	values := normal(name, []int{n})
	for i, v := range values {
		values[i] = 0.25 + math.Abs(v)
	}
	return m.saved(name, m.statType(), values, n)
}

func (c magnitude) args(m *maker, s [2]int) bindings.MagnitudeArgs {
	a := bindings.MagnitudeArgs{M: m.lengths("m", s[1]), Norm: m.lengths("norm", s[1])}
	if c.gate {
		a.Gate = m.stat("gate", s[0])
	}
	return a
}

func (c magnitude) forward(s [2]int) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(6, 0)
		a := c.args(m, s)
		var y bindings.Tensor
		operand := func(name string) (t bindings.Tensor) {
			if c.inPlace != name {
				return m.in(name, s[0], s[1])
			}
			y = m.change(name, s[0], s[1])
			return y
		}
		a.Z = operand("z")
		if c.residual {
			a.Residual = operand("residual")
		}
		if c.bias {
			a.Bias = m.in("bias", s[1])
		}
		if c.f32Bias {
			a.Bias = m.stat("bias", s[1])
		}
		if !y.Valid() {
			y = m.out("y", s[0], s[1])
		}
		return func(ops bindings.Ops) { ops.Magnitude(y, a) }
	}
}

func (c magnitude) backward(s [2]int, wanted string) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(s[0]+6, 0)
		a := c.args(m, s)
		dy := m.in("dy", s[0], s[1])
		var dz, dm bindings.Tensor
		if wanted != "dm " {
			dz = m.out("dz", s[0], s[1])
		}
		if wanted != "dz " {
			dm, a.Z = m.sum("dm", s[1]), m.in("z", s[0], s[1])
		}
		return func(ops bindings.Ops) { ops.MagnitudeBackward(dz, dm, dy, a) }
	}
}

func magnitudeCases() (all []Case) {
	add := func(op, variant string, b build) { all = append(all, Case{Op: op, Variant: variant, build: b}) }
	for _, s := range matrices {
		for _, c := range []magnitude{
			{}, {bias: true}, {f32Bias: true}, {residual: true}, {gate: true},
			{inPlace: "z"}, {residual: true, inPlace: "residual"},
		} {
			add("magnitude", sized(c.String(), s), c.forward(s))
		}
		for _, c := range []magnitude{{}, {gate: true}} {
			for _, wanted := range []string{"dz and dm ", "dz ", "dm "} {
				add("magnitude_backward", sized(wanted+c.String(), s), c.backward(s, wanted))
			}
		}
		add("dropout", sized("", s), dropped("x", "y", s, false, bindings.Set))
		add("dropout", sized("rest ", s), dropped("x", "y", s, true, bindings.Set))
		add("dropout", sized("accumulate ", s), dropped("x", "y", s, false, bindings.Accumulate))
		add("dropout", sized("rest, accumulate ", s), dropped("x", "y", s, true, bindings.Accumulate))
	}
	for _, c := range []struct {
		out, in, rank int
		form          storage
	}{
		{1, 1, 1, dense}, {33, 63, 4, dense}, {129, 700, 3, dense}, {33, 1025, 16, denseF32}, {9, 64, 2, nf4}, {70, 576, 8, nf4Nested},
	} {
		add("weight_norm", fmt.Sprintf("rank %d %s%dx%d", c.rank, c.form, c.out, c.in), func(m *maker) func(bindings.Ops) {
			m.accuracy(c.in+c.rank+4, 0)
			if c.form >= nf4 {
				m.roundings++ // the reference is given values in the type of activations
			}
			w := m.weight(c.form, c.out, c.in)
			if c.form == denseF32 { // used as it is stored
				w.Data = m.stat("w f32", c.out, c.in)
			}
			a, b, norm := m.stat("A", c.rank, c.in), m.stat("B", c.out, c.rank), m.outStat("norm", c.out)
			return func(ops bindings.Ops) { ops.WeightNorm(norm, w, a, b, 0.75) }
		})
	}
	add("weight_norm", "bench 576x1536", func(m *maker) func(bindings.Ops) {
		w, a, b, norm := m.weight(dense, 576, 1536), m.stat("A", 16, 1536), m.stat("B", 576, 16), m.outStat("norm", 576)
		return func(ops bindings.Ops) { ops.WeightNorm(norm, w, a, b, 2) }
	})
	all[len(all)-1].bench = true
	return all
}

// dropped is dropout of one tensor to another, by name.
func dropped(from, to string, s [2]int, rest bool, how bindings.Write) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(3, 0)
		x, y := m.in(from, s[0], s[1]), bindings.Tensor{}
		if how == bindings.Accumulate {
			y = m.change(to, s[0], s[1])
		} else {
			y = m.out(to, s[0], s[1])
		}
		d := bindings.Dropout{P: 0.3, Site: 4, Seed: m.seed()}
		return func(ops bindings.Ops) { ops.Dropout(y, how, x, d, rest) }
	}
}

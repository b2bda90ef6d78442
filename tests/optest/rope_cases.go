package optest

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
)

// frequencies are those of base 10000.
func frequencies(dim int) []float64 {
	f := make([]float64, dim/2)
	for i := range f {
		f[i] = float64(float32(math.Pow(10000, -2*float64(i)/float64(dim))))
	}
	return f
}

func ropeCases() (all []Case) {
	add := func(op, variant string, b build) { all = append(all, Case{Op: op, Variant: variant, build: b}) }
	for _, s := range []struct {
		tokens, dim int
		scale       float64
		first       int32
	}{{1, 2, 1, 0}, {7, 64, 1, 0}, {65, 96, 1.25, 0}, {5, 64, 1, 131000}, {0, 8, 1, 0}} {
		add("rope_table", fmt.Sprintf("%dx%d from %d", s.tokens, s.dim, s.first), func(m *maker) func(bindings.Ops) {
			// Sine and cosine of a float32 angle, to two units in the last
			// place of 1; angles themselves are the same on every device.
			m.absolute = 4 * s.scale * unit(bindings.F32)
			positions := make([]int32, s.tokens)
			for i := range positions {
				positions[i] = s.first + int32(i)
			}
			table, pos := m.out("table", s.tokens, s.dim), m.ints("positions", positions, s.tokens)
			freq := m.given("freq", input, m.statType(), frequencies(s.dim), s.dim/2)
			return func(ops bindings.Ops) { ops.RoPETable(table, pos, freq, s.scale) }
		})
	}
	for _, s := range []struct{ tokens, heads, headDim, dim int }{
		{1, 1, 2, 2}, {7, 3, 64, 64}, {65, 2, 96, 72}, {9, 5, 10, 6}, {0, 2, 8, 8},
	} {
		for _, inverse := range []bool{false, true} {
			for _, inPlace := range []bool{false, true} {
				name := fmt.Sprintf("%d of %d heads of %d of %d", s.tokens, s.heads, s.dim, s.headDim)
				if inverse {
					name = "inverse " + name
				}
				if inPlace {
					name = "in place " + name
				}
				add("rope", name, func(m *maker) func(bindings.Ops) {
					m.accuracy(2, 0)
					table := m.in("table", s.tokens, s.dim)
					if inPlace {
						x := m.change("x", s.tokens, s.heads*s.headDim)
						return func(ops bindings.Ops) { ops.RoPE(x, x, table, s.headDim, inverse) }
					}
					x, y := m.in("x", s.tokens, s.heads*s.headDim), m.out("y", s.tokens, s.heads*s.headDim)
					return func(ops bindings.Ops) { ops.RoPE(y, x, table, s.headDim, inverse) }
				})
			}
		}
	}
	return all
}

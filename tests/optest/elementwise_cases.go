package optest

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
)

// matrices are the shapes [rows, columns] of operations on rows.
var matrices = [][2]int{{1, 1}, {7, 63}, {3, 64}, {65, 129}, {0, 16}}

func sized(variant string, s [2]int) string { return fmt.Sprintf("%s%dx%d", variant, s[0], s[1]) }

func elementwiseCases() (all []Case) {
	add := func(op, variant string, b build) { all = append(all, Case{Op: op, Variant: variant, build: b}) }
	for _, s := range append(matrices, [2]int{129, 257}) {
		add("zero", sized("", s), func(m *maker) func(bindings.Ops) {
			m.exact = true
			dst := m.out("dst", s[0], s[1])
			return func(ops bindings.Ops) { ops.Zero(dst) }
		})
		add("cast", sized("to f32 ", s), func(m *maker) func(bindings.Ops) {
			m.exact = true
			src, dst := m.in("src", s[0], s[1]), m.outStat("dst", s[0]*s[1])
			return func(ops bindings.Ops) { ops.Cast(dst, src) }
		})
		add("cast", sized("from f32 ", s), func(m *maker) func(bindings.Ops) {
			m.exact = true
			src, dst := m.stat("src", s[0], s[1]), m.out("dst", s[0], s[1])
			return func(ops bindings.Ops) { ops.Cast(dst, src) }
		})
		add("add", sized("", s), func(m *maker) func(bindings.Ops) {
			m.accuracy(1, 0)
			a, b, dst := m.in("a", s[0], s[1]), m.in("b", s[0], s[1]), m.out("dst", s[0], s[1])
			return func(ops bindings.Ops) { ops.Add(dst, a, b) }
		})
		add("add", sized("in place ", s), func(m *maker) func(bindings.Ops) {
			m.accuracy(1, 0)
			a, b := m.change("a", s[0], s[1]), m.in("b", s[0], s[1])
			return func(ops bindings.Ops) { ops.Add(a, a, b) }
		})
		add("swiglu", sized("", s), func(m *maker) func(bindings.Ops) {
			m.accuracy(4, 0)
			gate, up, y := m.in("gate", s[0], s[1]), m.in("up", s[0], s[1]), m.out("y", s[0], s[1])
			return func(ops bindings.Ops) { ops.SwiGLU(y, gate, up) }
		})
		add("swiglu_backward", sized("", s), func(m *maker) func(bindings.Ops) {
			m.accuracy(6, 0)
			gate, up, dy := m.in("gate", s[0], s[1]), m.in("up", s[0], s[1]), m.in("dy", s[0], s[1])
			dgate, dup := m.out("dgate", s[0], s[1]), m.out("dup", s[0], s[1])
			return func(ops bindings.Ops) { ops.SwiGLUBackward(dgate, dup, dy, gate, up) }
		})
		add("swiglu_backward", sized("in place ", s), func(m *maker) func(bindings.Ops) {
			m.accuracy(6, 0)
			gate, up, dy := m.change("gate", s[0], s[1]), m.change("up", s[0], s[1]), m.in("dy", s[0], s[1])
			return func(ops bindings.Ops) { ops.SwiGLUBackward(gate, up, dy, gate, up) }
		})
	}
	add("cast", "special values", func(m *maker) func(bindings.Ops) {
		m.exact = true
		src := m.given("src", input, m.statType(), specials(), len(specials()))
		dst := m.out("dst", len(specials()))
		return func(ops bindings.Ops) { ops.Cast(dst, src) }
	})
	add("swiglu", "large gates", func(m *maker) func(bindings.Ops) {
		m.accuracy(4, 0)
		gates := []float64{-200, -104, -88.5, -20, 0, 20, 88.5, 104, 200}
		// Below the normal numbers float32 has no relative accuracy left.
		m.absolute = 0x1p-100
		gate, up, y := m.given("gate", input, m.act, gates, len(gates)), m.in("up", len(gates)), m.out("y", len(gates))
		return func(ops bindings.Ops) { ops.SwiGLU(y, gate, up) }
	})
	all = append(all, Case{Op: "swiglu", Variant: "bench 1024x1536", bench: true, build: func(m *maker) func(bindings.Ops) {
		gate, up, y := m.in("gate", 1024, 1536), m.in("up", 1024, 1536), m.out("y", 1024, 1536)
		return func(ops bindings.Ops) { ops.SwiGLU(y, gate, up) }
	}})
	return all
}

// specials are numbers where conversion to bfloat16 goes wrong: ties, the
// largest number, subnormal ones, infinities and NaN.
func specials() []float64 {
	v := []float64{0, math.Copysign(0, -1), 1, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32, -math.MaxFloat32}
	for _, bits := range []uint32{
		0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0xbf808000, // ties and their neighbours
		0x00000001, 0x00008000, 0x00018000, 0x007fffff, 0x00800000, // subnormal
		0x7f7f7fff, 0x7f7f8000, // the largest that stays finite, the smallest that does not
	} {
		v = append(v, float64(math.Float32frombits(bits)))
	}
	return v
}

func embeddingCases() (all []Case) {
	add := func(op, variant string, b build) { all = append(all, Case{Op: op, Variant: variant, build: b}) }
	for _, s := range []struct{ tokens, vocab, hidden int }{{1, 1, 1}, {7, 5, 63}, {129, 65, 64}, {65, 3, 129}, {0, 4, 8}} {
		ids := make([]int32, s.tokens)
		for i := range ids {
			ids[i] = int32((i*i*31 + 7) % s.vocab)
		}
		name := fmt.Sprintf("%d of %dx%d", s.tokens, s.vocab, s.hidden)
		add("embedding", name, func(m *maker) func(bindings.Ops) {
			m.exact = true
			y, table, id := m.out("y", s.tokens, s.hidden), m.in("table", s.vocab, s.hidden), m.ints("ids", ids, s.tokens)
			return func(ops bindings.Ops) { ops.Embedding(y, table, id) }
		})
		add("embedding", "f32 table "+name, func(m *maker) func(bindings.Ops) {
			m.exact = true
			y, table, id := m.out("y", s.tokens, s.hidden), m.stat("table", s.vocab, s.hidden), m.ints("ids", ids, s.tokens)
			return func(ops bindings.Ops) { ops.Embedding(y, table, id) }
		})
		add("embedding_backward", name, func(m *maker) func(bindings.Ops) {
			m.accuracy(s.tokens/s.vocab+2, 0)
			g, dy, id := m.sum("dtable", s.vocab, s.hidden), m.in("dy", s.tokens, s.hidden), m.ints("ids", ids, s.tokens)
			return func(ops bindings.Ops) { ops.EmbeddingBackward(g, dy, id) }
		})
	}
	for _, s := range matrices {
		add("scatter_rows", sized("", s), func(m *maker) func(bindings.Ops) {
			m.exact = true
			rows := make([]int32, s[0])
			for i := range rows {
				rows[i] = int32(2*(s[0]-1-i) + 1)
			}
			dst, src, to := m.change("dst", 2*s[0]+1, s[1]), m.in("src", s[0], s[1]), m.ints("rows", rows, s[0])
			return func(ops bindings.Ops) { ops.ScatterRows(dst, src, to) }
		})
	}
	return all
}

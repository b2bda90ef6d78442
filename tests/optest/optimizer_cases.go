package optest

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
)

func optimizerCases() (all []Case) {
	for _, n := range []int{1, 7, 129, 10007} {
		for _, maxNorm := range []float64{0, 1, 1000} {
			all = append(all, Case{Op: "grad_norm", Variant: fmt.Sprintf("%d, at most %g", n, maxNorm), build: func(m *maker) func(bindings.Ops) {
				m.accuracy(n+4, 0)
				norm := m.given("norm", updated, m.statType(), []float64{9, 9, 9, 41}, 4)
				g, l := m.stat("g", n), m.stat("loss", 2)
				return func(ops bindings.Ops) { ops.GradNorm(norm, g, l, maxNorm) }
			}})
		}
	}
	for name, bad := range map[string]struct{ g, loss float64 }{
		"infinite gradient": {math.Inf(1), 1}, "undefined gradient": {math.NaN(), 1},
		"infinite loss": {1, math.Inf(-1)}, "undefined loss": {1, math.NaN()},
	} {
		all = append(all, Case{Op: "grad_norm", Variant: name, build: func(m *maker) func(bindings.Ops) {
			m.exact = true
			norm := m.given("norm", updated, m.statType(), []float64{9, 9, 9, 41}, 4)
			m.specs[len(m.specs)-1].only = []int{2, 3} // the norm itself says nothing
			values := normal("g", []int{65})
			values[64] = bad.g
			g := m.given("g", input, m.statType(), values, 65)
			l := m.given("loss", input, m.statType(), []float64{bad.loss, 0}, 2)
			return func(ops bindings.Ops) { ops.GradNorm(norm, g, l, 1) }
		}})
	}
	h := bindings.AdamWHyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, LRScale: 1}
	plus := h
	plus.LRScale, plus.WeightDecay = 16, 0
	for _, c := range []struct {
		name  string
		n     int
		state []float64
		h     bindings.AdamWHyper
	}{
		{"first step", 65, []float64{1, 1, 1, 1}, h},
		{"clipped", 129, []float64{4, 0.25, 1, 1}, h},
		{"later step", 1, []float64{1, 1, 1, 1000}, h},
		{"no decay, faster", 7, []float64{1, 1, 1, 3}, plus},
		{"skipped", 65, []float64{math.Inf(1), 0, 0, 3}, h},
		{"many", 4099, []float64{2, 0.5, 1, 20}, h},
	} {
		all = append(all, Case{Op: "adamw", Variant: fmt.Sprintf("%s, %d", c.name, c.n), build: func(m *maker) func(bindings.Ops) {
			m.accuracy(8, 0)
			m.exact = c.state[2] == 0
			p, mom, g := m.sum("p", c.n), m.sum("m", c.n), m.stat("g", c.n)
			second := normal("v", []int{c.n})
			for i, v := range second {
				second[i] = 0.1 + v*v
			}
			v := m.saved("v", m.statType(), second, c.n)
			m.specs[len(m.specs)-1].role = updated
			state := m.given("norm", input, m.statType(), c.state, 4)
			lr := m.given("lr", input, m.statType(), []float64{1e-3}, 1)
			h := c.h // 1 − β carries the error of β, and βᵗ that many times
			h.Beta1, h.Beta2 = m.number(h.Beta1), m.number(h.Beta2)
			return func(ops bindings.Ops) { ops.AdamW(p, mom, v, g, state, lr, h) }
		}})
	}
	for _, c := range []struct {
		name  string
		n     int
		state []float64
		h     bindings.AdamWHyper
	}{
		{"first step", 65, []float64{1, 1, 1, 1}, h},
		{"clipped", 256, []float64{4, 0.25, 1, 1}, h},
		{"later step", 1, []float64{1, 1, 1, 1000}, h},
		{"no decay, faster", 513, []float64{1, 1, 1, 3}, plus},
		{"skipped", 300, []float64{math.Inf(1), 0, 0, 3}, h},
		{"many", 1023, []float64{2, 0.5, 1, 20}, h},
	} {
		all = append(all, Case{Op: "adamw8", Variant: fmt.Sprintf("%s, %d", c.name, c.n), build: eightBit(c.n, c.state, c.h)})
	}
	for _, c := range []struct {
		name  string
		n     int
		state []float64
		h     bindings.AdamWHyper
	}{
		{"first step", 65, []float64{1, 1, 1, 1}, h},
		{"clipped", 129, []float64{4, 0.25, 1, 1}, h},
		{"later step", 1, []float64{1, 1, 1, 1000}, h},
		{"no decay, faster", 7, []float64{1, 1, 1, 3}, plus},
		{"skipped", 65, []float64{math.Inf(1), 0, 0, 3}, h},
		{"many", 4099, []float64{2, 0.5, 1, 20}, h},
		{"whole packs", 4096, []float64{2, 0.5, 1, 20}, h},
	} {
		all = append(all, Case{Op: "adamw_bf16", Variant: fmt.Sprintf("%s, %d", c.name, c.n), build: narrow(c.n, c.state, c.h)})
	}
	all = append(all, Case{Op: "adamw_bf16", Variant: "bench 1048576", bench: true, build: narrow(1<<20, []float64{1, 1, 1, 10}, h)})
	bench := eightBit(1<<20, []float64{1, 1, 1, 10}, h)
	return append(all, Case{Op: "adamw8", Variant: "bench 1048576", bench: true, build: bench})
}

// eightBit has every code of both moments. Codes come out exactly: of so few
// values none is within rounding of the middle between two codes.
func eightBit(n int, state []float64, h bindings.AdamWHyper) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(8, 0)
		m.exact = state[2] == 0
		p, g := m.sum("p", n), m.stat("g", n)
		blocks := (n + bindings.StateBlock - 1) / bindings.StateBlock
		scales := func(name string, least float64) bindings.Tensor {
			values := normal(name, []int{blocks})
			for i, v := range values {
				values[i] = least + v*v
			}
			t := m.saved(name, m.statType(), values, blocks)
			m.specs[len(m.specs)-1].role = updated
			return t
		}
		codes := func(step int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(i * step)
			}
			return b
		}
		mom, v := m.changeBytes("m", codes(89), n), m.changeBytes("v", codes(57), n)
		mScale, vScale := scales("scale of m", 0.5), scales("scale of v", 0.2)
		norm := m.given("norm", input, m.statType(), state, 4)
		lr := m.given("lr", input, m.statType(), []float64{1e-3}, 1)
		k := h
		k.Beta1, k.Beta2 = m.number(k.Beta1), m.number(k.Beta2)
		return func(ops bindings.Ops) { ops.AdamW8(p, mom, v, mScale, vScale, g, norm, lr, k) }
	}
}

// narrow has parameters in bf16. A draw of the bound that falls on the other side
// of the random rounding says that this element may.
func narrow(n int, state []float64, h bindings.AdamWHyper) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(8, 0)
		m.exact = state[2] == 0
		updatedAs := func(name string, dtype bindings.DType, values []float64) bindings.Tensor {
			t := m.saved(name, dtype, values, n)
			m.specs[len(m.specs)-1].role = updated
			return t
		}
		second := normal("v", []int{n})
		for i, v := range second {
			second[i] = 0.1 + v*v
		}
		narrow := bindings.BF16
		if m.statType() == bindings.F64 {
			narrow = bindings.F64 // which then holds values of bf16
		}
		p := updatedAs("p", narrow, normal("p", []int{n}))
		mom, v := updatedAs("m", m.statType(), normal("m", []int{n})), updatedAs("v", m.statType(), second)
		g := m.stat("g", n)
		norm := m.given("norm", input, m.statType(), state, 4)
		lr := m.given("lr", input, m.statType(), []float64{1e-2}, 1)
		seed := m.seed()
		k := h
		k.Beta1, k.Beta2 = m.number(k.Beta1), m.number(k.Beta2)
		return func(ops bindings.Ops) { ops.AdamWBF16(p, mom, v, g, norm, lr, seed, k) }
	}
}

package optest

import (
	"fmt"

	"github.com/graftlm/graft/bindings"
)

func sampleCases() (all []Case) {
	plain := bindings.SampleArgs{Temperature: 1, TopP: 1, RepetitionPenalty: 1}
	vary := func(change func(*bindings.SampleArgs)) bindings.SampleArgs {
		a := plain
		change(&a)
		return a
	}
	for _, c := range []struct {
		name string
		seen bool
		a    bindings.SampleArgs
	}{
		{"plain", false, plain},
		{"greedy", false, vary(func(a *bindings.SampleArgs) { a.Temperature = 0 })},
		{"cold", false, vary(func(a *bindings.SampleArgs) { a.Temperature = 0.25 })},
		{"top-k", false, vary(func(a *bindings.SampleArgs) { a.TopK = 3 })},
		{"top-p", false, vary(func(a *bindings.SampleArgs) { a.TopP = 0.5 })},
		{"min-p", false, vary(func(a *bindings.SampleArgs) { a.MinP = 0.4 })},
		{"penalty", true, vary(func(a *bindings.SampleArgs) { a.RepetitionPenalty = 5 })},
		{"greedy penalty", true, vary(func(a *bindings.SampleArgs) { a.RepetitionPenalty, a.Temperature = 5, 0 })},
		{"all", true, vary(func(a *bindings.SampleArgs) {
			a.Temperature, a.TopK, a.TopP, a.MinP, a.RepetitionPenalty = 0.7, 20, 0.9, 0.02, 1.3
		})},
	} {
		for _, s := range [][2]int{{1, 1}, {65, 63}, {7, 1025}, {0, 5}} {
			all = append(all, Case{Op: "sample", Variant: fmt.Sprintf("%s %dx%d", c.name, s[0], s[1]), build: func(m *maker) func(bindings.Ops) {
				a := c.a
				a.Logits = m.logits(s[0], s[1])
				if c.seen {
					seen := make([]byte, s[0]*s[1])
					for i := range seen {
						seen[i] = byte(i % 3)
					}
					a.Seen = m.bytes("seen", seen, s[0], s[1])
				}
				a.Seed = m.seed()
				a.Scratch = m.scratch(m.profile.SampleScratch(s[0], s[1]))
				ids := m.outInts("ids", s[0])
				return func(ops bindings.Ops) { ops.Sample(ids, a) }
			}})
		}
	}
	return all
}

// logits are coarse, so that ties occur; the operation may overwrite them.
func (m *maker) logits(n, v int) bindings.Tensor {
	values := normal("logits", []int{n, v})
	for i, x := range values {
		values[i] = float64(int(x*8)) / 4
	}
	return m.given("logits", scratch, m.statType(), values, n, v)
}

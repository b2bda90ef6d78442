package optest

import (
	"fmt"

	"github.com/graftlm/graft/bindings"
)

// loss describes a case of the output layer.
type loss struct {
	tokens, targets, vocab, hidden int
	filler                         int // rows of weight 0 at the end, all of row 0
	form                           storage
	softCap, smoothing, zLoss      float64
	dx, dw                         bool
	name                           string
}

func (c loss) String() string {
	return fmt.Sprintf("%s%s%d of %d, %dx%d", c.name, c.form, c.targets, c.tokens, c.vocab, c.hidden)
}

func (c loss) build(m *maker) func(bindings.Ops) {
	// A logit is a sum of hidden terms, dx one of vocab, dw and the loss of rows;
	// the gradients of logits may be kept in the type of activations.
	m.accuracy(c.hidden+max(c.vocab, c.targets)+16, 1)
	n := c.targets + c.filler
	rows, targets, weights := make([]int32, n), make([]int32, n), make([]float64, n)
	for i := range c.targets {
		rows[i] = int32((c.targets - 1 - i) * max(c.tokens/max(c.targets, 1), 1))
		targets[i] = int32((i*i*17 + 3) % c.vocab)
		weights[i] = 1
		if i%5 == 4 {
			weights[i] = 0.25
		}
	}
	total := m.sum("loss", 2)
	var dx, dw bindings.Tensor
	if c.dx {
		dx = m.out("dx", c.tokens, c.hidden)
	}
	if c.dw {
		dw = m.sum("dw", c.vocab, c.hidden)
	}
	a := bindings.CrossEntropyArgs{
		X: m.in("x", c.tokens, c.hidden), W: m.weight(c.form, c.vocab, c.hidden),
		Rows: m.ints("rows", rows, n), Targets: m.ints("targets", targets, n),
		Weights: m.given("weights", input, m.statType(), weights, n),
		Inverse: m.given("inverse", input, m.statType(), []float64{1.0 / 7}, 1),
		SoftCap: c.softCap, LabelSmoothing: c.smoothing, ZLoss: c.zLoss,
	}
	a.Scratch = m.scratch(m.profile.CrossEntropyScratch(n, a.W))
	return func(ops bindings.Ops) { ops.LinearCrossEntropy(total, dx, dw, a) }
}

func lossCases() (all []Case) {
	for _, c := range []loss{
		{tokens: 1, targets: 1, vocab: 1, hidden: 1, dx: true, dw: true},
		{tokens: 7, targets: 3, vocab: 65, hidden: 63, dx: true, dw: true},
		{tokens: 65, targets: 65, vocab: 129, hidden: 64, dx: true},
		{tokens: 65, targets: 65, vocab: 129, hidden: 64, dw: true},
		{tokens: 65, targets: 30, vocab: 129, hidden: 64, name: "loss only "},
		{tokens: 20, targets: 7, vocab: 63, hidden: 32, filler: 9, dx: true, dw: true, name: "filled "},
		{tokens: 9, targets: 0, vocab: 63, hidden: 32, dx: true, dw: true, name: "no target "},
		{tokens: 9, targets: 5, vocab: 63, hidden: 32, softCap: 3, dx: true, dw: true, name: "soft cap "},
		{tokens: 9, targets: 5, vocab: 63, hidden: 32, smoothing: 0.1, dx: true, dw: true, name: "smoothed "},
		{tokens: 9, targets: 5, vocab: 63, hidden: 32, zLoss: 0.01, dx: true, dw: true, name: "z-loss "},
		{tokens: 20, targets: 17, vocab: 2049, hidden: 16, softCap: 3, smoothing: 0.2, zLoss: 1e-3, dx: true, dw: true, name: "smoothed, z-loss, soft cap "},
		{tokens: 9, targets: 5, vocab: 63, hidden: 64, form: denseF32, dx: true, dw: true},
		{tokens: 9, targets: 5, vocab: 63, hidden: 64, form: nf4Nested, dx: true},
		{tokens: 700, targets: 700, vocab: 33, hidden: 16, dx: true, dw: true, name: "several chunks "},
		{tokens: 20, targets: 17, vocab: 2049, hidden: 16, dx: true, dw: true},
	} {
		all = append(all, Case{Op: "linear_cross_entropy", Variant: c.describe(), build: c.build})
	}
	bench := loss{tokens: 512, targets: 512, vocab: 8192, hidden: 576, dx: true, name: "bench "}
	return append(all, Case{Op: "linear_cross_entropy", Variant: bench.String(), bench: true, build: bench.build})
}

// describe adds which gradients are wanted.
func (c loss) describe() string {
	s := c.String()
	if c.dx {
		s += ", dx"
	}
	if c.dw {
		s += ", dw"
	}
	return s
}

package optest

import (
	"fmt"
	"slices"

	"github.com/graftlm/graft/bindings"
)

// activationCase is a function of one element. Where its slope is zero and its
// value is not (the minimum of GELU, −0.17; tanh near ±1), the change by the
// inputs says nothing of the error, so a few units of 2⁻²⁴ are added.
func activationCase(f bindings.ActivationFunction, s [2]int, inPlace bool) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(8, 0)
		m.absolute = 4 * unit(bindings.F32)
		if f == bindings.ReLU {
			m.exact = true
		}
		if inPlace {
			x := m.change("x", s[0], s[1])
			return func(ops bindings.Ops) { ops.Activation(x, x, f) }
		}
		x, y := m.in("x", s[0], s[1]), m.out("y", s[0], s[1])
		return func(ops bindings.Ops) { ops.Activation(y, x, f) }
	}
}

// activationBackward is in place on dy, on x or on neither.
func activationBackward(f bindings.ActivationFunction, s [2]int, on string) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(10, 0)
		declare := func(name string) bindings.Tensor {
			if name == on {
				return m.change(name, s[0], s[1])
			}
			return m.in(name, s[0], s[1])
		}
		x, dy := declare("x"), declare("dy")
		dx := map[string]bindings.Tensor{"x": x, "dy": dy}[on]
		if on == "" {
			dx = m.out("dx", s[0], s[1])
		}
		return func(ops bindings.Ops) { ops.ActivationBackward(dx, dy, x, f) }
	}
}

// tails are where 1 + erf and 1 − tanh² would have cancelled, and beyond exp.
var tails = []float64{-12, -9, -6, -4, -2.5, 0, 2.5, 4, 6, 9, 12, 100, -100}

// poolCase pools sequences; ties has equal rows, of which the first counts.
type poolCase struct {
	kind   bindings.Pooling
	cu     []int32
	hidden int
	ties   bool
}

func (c poolCase) String() string {
	s := fmt.Sprintf("%s %vx%d", c.kind, c.cu, c.hidden)
	if c.ties {
		s += ", ties"
	}
	return s
}

func (c poolCase) x(m *maker) bindings.Tensor {
	tokens := int(c.cu[len(c.cu)-1])
	if !c.ties {
		return m.in("x", tokens, c.hidden)
	}
	values := normal("x", []int{tokens, c.hidden})
	for i, v := range values {
		values[i] = float64(int(2 * v))
	}
	return m.given("x", input, m.act, values, tokens, c.hidden)
}

// longest is the terms of a mean.
func (c poolCase) longest() int {
	n := 1
	for s := range len(c.cu) - 1 {
		n = max(n, int(c.cu[s+1]-c.cu[s]))
	}
	return n
}

func (c poolCase) forward(m *maker) func(bindings.Ops) {
	m.accuracy(c.longest()+1, 0)
	m.exact = c.kind != bindings.PoolMean
	n := len(c.cu) - 1
	x, y, cu := c.x(m), m.out("y", n, c.hidden), m.ints("cu", c.cu, n+1)
	return func(ops bindings.Ops) { ops.Pool(y, x, cu, c.kind) }
}

func (c poolCase) backward(m *maker) func(bindings.Ops) {
	m.accuracy(1, 0)
	m.exact = c.kind != bindings.PoolMean
	n := len(c.cu) - 1
	dy, cu := m.in("dy", n, c.hidden), m.ints("cu", c.cu, n+1)
	var x bindings.Tensor
	if c.kind == bindings.PoolMax {
		x = c.x(m)
	}
	dx := m.out("dx", int(c.cu[n]), c.hidden)
	return func(ops bindings.Ops) { ops.PoolBackward(dx, dy, x, cu, c.kind) }
}

// classification is rows of logits; filler rows at the end have no weight and
// labels that do not exist.
type classification struct {
	loss                 bindings.ClassLoss
	rows, classes, blank int
	far                  bool // logits of ±50 and more
	lossOnly             bool
}

func (c classification) String() string {
	s := fmt.Sprintf("%s %d of %d, %d classes", c.loss, c.rows-c.blank, c.rows, c.classes)
	if c.far {
		s += ", far"
	}
	if c.lossOnly {
		s += ", loss only"
	}
	return s
}

func (c classification) build(m *maker) func(bindings.Ops) {
	m.accuracy(c.rows+c.classes+16, 0)
	logits := normal("logits", []int{c.rows, c.classes})
	if c.far {
		for i := range logits {
			logits[i] *= 50
		}
	}
	_, z := m.float("logits", input, m.act, logits, []int{c.rows, c.classes})
	labels, weights := make([]int32, c.rows), make([]float64, c.rows)
	for i := range c.rows {
		labels[i], weights[i] = int32((i*i*5+i)%c.classes), 1
		if i%4 == 3 {
			weights[i] = 0.5
		}
		if i >= c.rows-c.blank {
			labels[i], weights[i] = -1, 0
		}
	}
	a := bindings.ClassificationArgs{
		Logits: z, Loss: c.loss, Weights: m.given("weights", input, m.statType(), weights, c.rows),
		Inverse: m.given("inverse", input, m.statType(), []float64{1.0 / 7}, 1),
	}
	switch c.loss {
	case bindings.SoftmaxCrossEntropy:
		a.Classes = m.ints("classes", labels, c.rows)
	case bindings.BinaryCrossEntropy:
		values := make([]float64, c.rows*c.classes)
		for i := range values {
			values[i] = []float64{0, 1, 0.25, 1, 0}[i%5]
		}
		a.Values = m.given("values", input, m.statType(), values, c.rows, c.classes)
	default:
		a.Values = m.stat("values", c.rows, c.classes)
	}
	total := m.sum("loss", 2)
	var dz bindings.Tensor
	if !c.lossOnly {
		dz = m.out("dlogits", c.rows, c.classes)
	}
	return func(ops bindings.Ops) { ops.ClassificationLoss(total, dz, a) }
}

func classifierCases() (all []Case) {
	add := func(op, variant string, b build) { all = append(all, Case{Op: op, Variant: variant, build: b}) }
	for f := range bindings.NumActivations {
		for _, s := range append(matrices, [2]int{129, 257}) {
			add("activation", sized(f.String()+" ", s), activationCase(f, s, false))
			add("activation_backward", sized(f.String()+" ", s), activationBackward(f, s, ""))
		}
		add("activation", f.String()+" in place", activationCase(f, [2]int{7, 63}, true))
		add("activation_backward", f.String()+" in place on dy", activationBackward(f, [2]int{7, 63}, "dy"))
		add("activation_backward", f.String()+" in place on x", activationBackward(f, [2]int{7, 63}, "x"))
		add("activation", f.String()+" tails", func(m *maker) func(bindings.Ops) {
			m.accuracy(8, 0)
			m.absolute = 0x1p-100 // below the normal numbers float32 has no relative accuracy left
			if f == bindings.Tanh {
				m.absolute = 4 * unit(bindings.F32) // near 1
			}
			_, x := m.float("x", input, m.act, tails, []int{len(tails)})
			y := m.out("y", len(tails))
			return func(ops bindings.Ops) { ops.Activation(y, x, f) }
		})
		add("activation_backward", f.String()+" tails", func(m *maker) func(bindings.Ops) {
			m.accuracy(10, 0)
			m.absolute = 0x1p-100
			_, x := m.float("x", input, m.act, tails, []int{len(tails)})
			dx, dy := m.out("dx", len(tails)), m.in("dy", len(tails))
			return func(ops bindings.Ops) { ops.ActivationBackward(dx, dy, x, f) }
		})
	}
	for p := range bindings.NumPoolings {
		for _, c := range []poolCase{
			{cu: []int32{0, 1}, hidden: 1}, {cu: []int32{0, 7}, hidden: 63}, {cu: []int32{0, 0, 1, 9, 9, 74, 74}, hidden: 64},
			{cu: []int32{0, 129, 200}, hidden: 257}, {cu: []int32{0}, hidden: 16}, {cu: []int32{0, 0, 0}, hidden: 16},
			{cu: []int32{0, 30, 65}, hidden: 17, ties: true},
		} {
			c.kind = p
			add("pool", c.String(), c.forward)
			add("pool_backward", c.String(), c.backward)
		}
	}
	for l := range bindings.NumClassLosses {
		for _, c := range []classification{
			{rows: 1, classes: 1}, {rows: 7, classes: 3}, {rows: 33, classes: 129}, {rows: 9, classes: 5, blank: 3},
			{rows: 4, classes: 5, blank: 4}, {rows: 0, classes: 3}, {rows: 8, classes: 6, far: true}, {rows: 9, classes: 5, lossOnly: true},
		} {
			c.loss = l
			add("classification_loss", c.String(), c.build)
		}
	}
	bench := [2]int{1024, 1536}
	for _, b := range []Case{
		{Op: "activation", Variant: sized("bench gelu ", bench), build: activationCase(bindings.GELU, bench, false)},
		{Op: "activation_backward", Variant: sized("bench gelu ", bench), build: activationBackward(bindings.GELU, bench, "")},
		{Op: "pool", Variant: "bench mean", build: poolCase{kind: bindings.PoolMean, cu: []int32{0, 256, 512, 1024}, hidden: 384}.forward},
	} {
		b.bench = true
		all = append(all, b)
	}
	return slices.Clip(all)
}

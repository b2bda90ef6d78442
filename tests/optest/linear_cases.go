package optest

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
)

// storage is a form of a weight.
type storage int

const (
	dense     storage = iota // in the type of activations
	denseF32                 // float32, rounded where it is used
	nf4                      // four bits
	nf4Nested                // four bits, scales doubly quantised
)

func (s storage) String() string { return [...]string{"", "f32 weight ", "nf4 ", "nf4 nested "}[s] }

// weight adds the matrix of a product. The reference is given four-bit weights
// decoded and rounded to the type of activations, which is what every device has
// to see.
func (m *maker) weight(form storage, out, in int) bindings.Weight {
	w := bindings.Weight{Out: out, In: in}
	switch form {
	case dense:
		w.Data = m.in("w", out, in)
		return w
	case denseF32:
		w.Data = m.param("w", out, in)
		return w
	}
	q := fourBit(form, out, in)
	if m.wide {
		values := make([]float64, out*in)
		for e := range values {
			values[e] = float64(q.At(e))
		}
		_, w.Data = m.float("w", input, m.act, values, []int{out, in})
		return w
	}
	return m.fourBits(w, q)
}

// fourBits adds the parts of a four-bit weight.
func (m *maker) fourBits(w bindings.Weight, q quant.NF4) bindings.Weight {
	w.Data = m.bytes("codes", q.Codes, w.Out, w.In/2)
	if q.AbsmaxCodes == nil {
		w.Absmax = m.quantised("absmax", q.Absmax)
		return w
	}
	w.Absmax = m.bytes("absmax codes", q.AbsmaxCodes, len(q.AbsmaxCodes))
	w.Nested, w.Offset = m.quantised("nested", q.Nested), m.quantised("offset", []float32{q.Offset})
	return w
}

// quantised is a float32 part of a four-bit weight.
func (m *maker) quantised(name string, values []float32) bindings.Tensor {
	_, t := m.alloc(name, input, bindings.F32, bindings.Encode(bindings.F32, values), []int{len(values)})
	return t
}

// fourBit makes a weight with every code and scales between 0.05 and 1.
func fourBit(form storage, out, in int) (q quant.NF4) {
	h := fnv.New64a()
	fmt.Fprint(h, form, out, in)
	r := rand.New(rand.NewPCG(h.Sum64(), 3))
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	blocks := (out*in + bindings.NF4Block - 1) / bindings.NF4Block
	q.Codes = fill((out*in + 1) / 2)
	if form == nf4 {
		for range blocks {
			q.Absmax = append(q.Absmax, 0.05+0.95*r.Float32())
		}
		return q
	}
	q.AbsmaxCodes = fill(blocks)
	for range (blocks + bindings.NestedBlock - 1) / bindings.NestedBlock {
		q.Nested = append(q.Nested, 0.2+0.3*r.Float32())
	}
	q.Offset = 0.55
	return q
}

// linear describes a linear layer.
type linear struct {
	tokens, out, in int
	form            storage
	bias            bool
	ranks           []int
	drop            float64
	gate            bool // of every adapter
}

func (c linear) String() string {
	s := c.form.String()
	if c.bias {
		s += "bias "
	}
	for _, r := range c.ranks {
		s += fmt.Sprintf("rank %d ", r)
	}
	if c.drop > 0 {
		s += fmt.Sprintf("dropout %g ", c.drop)
	}
	if c.gate {
		s += "gate "
	}
	return s + fmt.Sprintf("%dx%dx%d", c.tokens, c.out, c.in)
}

func (c linear) rank() (n int) {
	for _, r := range c.ranks {
		n += r
	}
	return n
}

// roundings: xa, or its gradient, before and after its gate, and the input
// after dropout.
func (c linear) roundings() (n float64) {
	if c.gate {
		n++
	}
	if len(c.ranks) > 0 {
		n++
	}
	if c.drop > 0 {
		n++
	}
	return n
}

func (c linear) args(m *maker, xa func(i, r int) bindings.Tensor) bindings.LinearArgs {
	l := bindings.LinearArgs{X: m.in("x", c.tokens, c.in), W: m.weight(c.form, c.out, c.in)}
	if c.bias {
		l.Bias = m.stat("bias", c.out)
	}
	for i, r := range c.ranks {
		a := bindings.LowRank{
			A: m.param(fmt.Sprint("A", i), r, c.in), B: m.param(fmt.Sprint("B", i), c.out, r),
			XA: xa(i, r), Scale: 0.5 + float64(i),
		}
		if c.drop > 0 {
			a.Drop = bindings.Dropout{P: c.drop, Site: uint32(5 + i), Seed: m.seed()}
		}
		if c.gate {
			a.Gate = m.stat(fmt.Sprint("gate", i), c.tokens)
		}
		l.Adapters = append(l.Adapters, a)
	}
	l.Scratch = m.scratch(m.profile.LinearScratch(c.tokens, l.W, c.rank(), c.drop > 0))
	return l
}

func (c linear) forward() build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(c.in+c.rank()+2, c.roundings())
		y := m.out("y", c.tokens, c.out)
		l := c.args(m, func(i, r int) bindings.Tensor { return m.out(fmt.Sprint("xa", i), c.tokens, r) })
		return func(ops bindings.Ops) { ops.Linear(y, l) }
	}
}

// wanted is which gradients a case asks for.
type wanted struct {
	name                  string
	dx, dw, dbias, da, db bool
	how                   bindings.Write
}

func (c linear) backward(g wanted) build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(max(c.tokens, c.out+c.rank())+4, c.roundings())
		dy := m.in("dy", c.tokens, c.out)
		saved := must(c.forward(), m.act)
		l := c.args(m, func(i, r int) bindings.Tensor {
			name := fmt.Sprint("xa", i)
			return m.saved(name, m.act, saved[name], c.tokens, r)
		})
		var to bindings.LinearGrads
		if g.dx && g.how == bindings.Accumulate {
			to.DX = m.change("dx", c.tokens, c.in)
		} else if g.dx {
			to.DX = m.out("dx", c.tokens, c.in)
		}
		if g.dw {
			to.DW = m.sum("dw", c.out, c.in)
		}
		if g.dbias {
			to.DBias = m.sum("dbias", c.out)
		}
		for i, r := range c.ranks {
			if g.da {
				to.DA = append(to.DA, m.sum(fmt.Sprint("dA", i), r, c.in))
			}
			if g.db {
				to.DB = append(to.DB, m.sum(fmt.Sprint("dB", i), c.out, r))
			}
		}
		if !g.dw && !g.da {
			l.X = bindings.Tensor{}
		}
		return func(ops bindings.Ops) { ops.LinearBackward(to, g.how, dy, l) }
	}
}

// decoded multiplies a four-bit weight by the identity: every element of it has
// to come out bit for bit, in the type of activations.
func decoded(form storage, out, in int) build {
	return func(m *maker) func(bindings.Ops) {
		m.exact = true
		eye := make([]float64, in*in)
		for i := range in {
			eye[i*in+i] = 1
		}
		x, y := m.given("eye", input, m.act, eye, in, in), m.out("y", in, out)
		w := m.weight(form, out, in)
		l := bindings.LinearArgs{X: x, W: w, Scratch: m.scratch(m.profile.LinearScratch(in, w, 0, false))}
		return func(ops bindings.Ops) { ops.Linear(y, l) }
	}
}

var linears = []linear{
	{tokens: 1, out: 1, in: 1},
	{tokens: 3, out: 7, in: 63},
	{tokens: 7, out: 65, in: 129},
	{tokens: 65, out: 129, in: 64},
	{tokens: 129, out: 63, in: 65},
	{tokens: 0, out: 8, in: 16},
	{tokens: 33, out: 40, in: 1000}, // a long sum: several blocks of any kernel
	{tokens: 7, out: 65, in: 63, form: denseF32},
	{tokens: 9, out: 33, in: 64, bias: true},
	{tokens: 9, out: 33, in: 64, form: nf4},
	{tokens: 1, out: 96, in: 192, form: nf4},
	{tokens: 65, out: 33, in: 128, form: nf4Nested, bias: true},
	{tokens: 3, out: 130, in: 256, form: nf4Nested}, // more than one nested block
	{tokens: 7, out: 33, in: 63, ranks: []int{1}},
	{tokens: 65, out: 65, in: 64, ranks: []int{16}, bias: true},
	{tokens: 1, out: 64, in: 129, ranks: []int{8}},
	{tokens: 129, out: 33, in: 65, ranks: []int{7}, drop: 0.25},
	{tokens: 9, out: 33, in: 64, form: nf4Nested, ranks: []int{8}, drop: 0.1},
	{tokens: 17, out: 31, in: 40, ranks: []int{3, 5}},
	{tokens: 5, out: 40, in: 128, form: nf4Nested, ranks: []int{4, 8}, bias: true},
	{tokens: 70, out: 600, in: 72, ranks: []int{16, 8}}, // more columns than a block's
	{tokens: 530, out: 70, in: 40, ranks: []int{8}},     // more rows than a block's
	{tokens: 17, out: 31, in: 40, ranks: []int{3, 5}, drop: 0.5},
	{tokens: 0, out: 8, in: 16, ranks: []int{4}},
	{tokens: 17, out: 31, in: 40, ranks: []int{3, 5}, gate: true},
	{tokens: 65, out: 33, in: 64, ranks: []int{8}, drop: 0.25, gate: true},
}

func linearCases() (all []Case) {
	for _, c := range linears {
		all = append(all, Case{Op: "linear", Variant: c.String(), build: c.forward()})
	}
	for _, form := range []storage{nf4, nf4Nested} {
		all = append(all, Case{Op: "linear", Variant: form.String() + "decoded exactly", build: decoded(form, 70, 64)})
	}
	return append(all, Case{Op: "linear", Variant: "bench " + benchLinear.String(), bench: true, build: benchLinear.forward()})
}

var benchLinear = linear{tokens: 1024, out: 576, in: 576, ranks: []int{16}}

func linearBackwardCases() (all []Case) {
	grads := []wanted{
		{name: "all, set ", dx: true, dw: true, dbias: true, da: true, db: true},
		{name: "all, accumulate ", dx: true, dw: true, dbias: true, da: true, db: true, how: bindings.Accumulate},
		{name: "dx only ", dx: true},
		{name: "dx only, accumulate ", dx: true, how: bindings.Accumulate},
		{name: "dA and dB ", da: true, db: true},
		{name: "dB only ", db: true},
		{name: "dx, dA and dB ", dx: true, da: true, db: true},
	}
	for _, c := range linears {
		for _, g := range grads {
			if len(c.ranks) == 0 && !g.dx || c.form >= nf4 && g.dw {
				continue // nothing would be wanted; four-bit weights have no gradient
			}
			all = append(all, Case{Op: "linear_backward", Variant: g.name + c.String(), build: c.backward(g)})
		}
	}
	g := grads[6]
	return append(all, Case{Op: "linear_backward", Variant: "bench " + benchLinear.String(), bench: true, build: benchLinear.backward(g)})
}

// quantizeCases have every tie: a block of the midpoints themselves and of their
// neighbours, whose largest is 1, beside one of zeros and one of small numbers.
func quantizeCases() (all []Case) {
	ties := make([]float64, 0, 64)
	for i := range 15 {
		mid := (quant.Values[i] + quant.Values[i+1]) / 2
		ties = append(ties, float64(mid), float64(math.Nextafter32(mid, 2)), float64(math.Nextafter32(mid, -2)))
	}
	ties = append(ties, 1)
	for _, size := range [][2]int{{3, 64}, {5, 128}, {32, 6}, {2, 4096}} {
		all = append(all, Case{Op: "nf4_quantize", Variant: fmt.Sprintf("%dx%d", size[0], size[1]), build: func(m *maker) func(bindings.Ops) {
			m.exact = true
			n, k := size[0], size[1]
			values := normal("x", []int{n, k})
			copy(values, ties)
			clear(values[64:128])
			for i := 128; i < min(192, len(values)); i++ {
				values[i] *= 1e-30
			}
			x := m.given("x", input, m.act, values, n, k)
			_, codes := m.alloc("codes", output, bindings.U8, nil, []int{n, k / 2})
			absmax := m.outStat("absmax", n*k/bindings.NF4Block)
			return func(ops bindings.Ops) { ops.NF4Quantize(codes, absmax, x) }
		}})
	}
	return all
}

// dequantizeCases have one block and many, rows that end within a block, and more
// than one block of scales.
func dequantizeCases() (all []Case) {
	for _, form := range []storage{nf4, nf4Nested} {
		for _, size := range [][2]int{{1, 64}, {3, 64}, {7, 192}, {32, 6}, {17, 1088}, {130, 256}, {0, 64}} {
			all = append(all, Case{Op: "nf4_dequantize", Variant: fmt.Sprintf("%s%dx%d", form, size[0], size[1]), build: func(m *maker) func(bindings.Ops) {
				m.exact = true
				w := m.fourBits(bindings.Weight{Out: size[0], In: size[1]}, fourBit(form, size[0], size[1]))
				y := m.out("y", size[0], size[1])
				return func(ops bindings.Ops) { ops.NF4Dequantize(y, w) }
			}})
		}
	}
	return all
}

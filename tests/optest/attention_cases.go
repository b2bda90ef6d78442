package optest

import (
	"fmt"
	"math"

	"github.com/graftlm/graft/bindings"
)

// attention describes a case of attention and its backward pass.
type attention struct {
	name                string
	cu                  []int32
	heads, kvHeads, dim int
	full                bool // not causal
	window, prefix      int
	most                int // of tokens of a sequence; 0: not said
	softCap             float64
	keys                []int32 // pairs; with a cache of slots rows
	slots               int
	zeroPrefixGrad      bool // the gradients of the prefix are absent
}

func (c attention) tokens() int { return int(c.cu[len(c.cu)-1]) }

// longest is an upper bound of the keys that a query sees.
func (c attention) longest() int { return max(c.tokens(), c.slots) + c.prefix }

func (c attention) String() string {
	return fmt.Sprintf("%s%v, %d:%d heads of %d", c.name, c.cu, c.heads, c.kvHeads, c.dim)
}

func (c attention) args(m *maker, backward bool) bindings.AttentionArgs {
	rows := c.tokens()
	if c.keys != nil {
		rows = c.slots
	}
	a := bindings.AttentionArgs{
		Q: m.in("q", c.tokens(), c.heads*c.dim), K: m.in("k", rows, c.kvHeads*c.dim), V: m.in("v", rows, c.kvHeads*c.dim),
		Cu: m.ints("cu", c.cu, len(c.cu)), Heads: c.heads, KVHeads: c.kvHeads, Dim: c.dim,
		Scale: 1 / math.Sqrt(float64(c.dim)), SoftCap: c.softCap, Causal: !c.full, Window: c.window, Longest: c.most,
	}
	if c.prefix > 0 {
		a.PrefixK, a.PrefixV = m.in("prefix k", c.prefix, c.kvHeads*c.dim), m.in("prefix v", c.prefix, c.kvHeads*c.dim)
	}
	if c.keys != nil {
		a.Keys = m.ints("keys", c.keys, len(c.keys)/2, 2)
	}
	a.Scratch = m.scratch(m.profile.AttentionScratch(c.tokens(), c.prefix, c.heads, c.kvHeads, c.dim, backward))
	return a
}

func (c attention) forward() build {
	return func(m *maker) func(bindings.Ops) {
		// A score is a sum of dim terms, an output one of longest terms;
		// probabilities may be rounded to the type of v for the product.
		m.accuracy(c.dim+c.longest()+8, 1)
		o, lse := m.out("o", c.tokens(), c.heads*c.dim), m.outStat("lse", c.tokens(), c.heads)
		a := c.args(m, false)
		return func(ops bindings.Ops) { ops.Attention(o, lse, a) }
	}
}

func (c attention) backward() build {
	return func(m *maker) func(bindings.Ops) {
		m.accuracy(c.dim+c.longest()*c.heads/c.kvHeads+8, 1)
		saved, q, kv := must(c.forward(), m.act), c.heads*c.dim, c.kvHeads*c.dim
		a := c.args(m, true)
		do := m.in("do", c.tokens(), q)
		o := m.saved("o", m.act, saved["o"], c.tokens(), q)
		lse := m.saved("lse", m.statType(), saved["lse"], c.tokens(), c.heads)
		g := bindings.AttentionGrads{DQ: m.out("dq", c.tokens(), q), DK: m.out("dk", c.tokens(), kv), DV: m.out("dv", c.tokens(), kv)}
		if c.prefix > 0 && !c.zeroPrefixGrad {
			// Every query adds to the gradients of the prefix.
			g.DPK, g.DPV = m.sum("dpk", c.prefix, kv), m.sum("dpv", c.prefix, kv)
		}
		return func(ops bindings.Ops) { ops.AttentionBackward(g, do, o, lse, a) }
	}
}

var attentions = []attention{
	{cu: []int32{0, 1}, heads: 1, kvHeads: 1, dim: 1},
	{cu: []int32{0, 7}, heads: 2, kvHeads: 2, dim: 16},
	{cu: []int32{0, 0, 1, 8, 8, 71, 71}, heads: 4, kvHeads: 2, dim: 16, name: "empty sequences "},
	{cu: []int32{0, 65, 129}, heads: 3, kvHeads: 1, dim: 64},
	{cu: []int32{0, 130}, heads: 2, kvHeads: 1, dim: 128},
	{cu: []int32{0, 9, 33}, heads: 2, kvHeads: 1, dim: 40},
	{cu: []int32{0, 40, 70}, heads: 2, kvHeads: 1, dim: 96},
	{cu: []int32{0, 17}, heads: 2, kvHeads: 2, dim: 256},
	{cu: []int32{0, 63, 70}, heads: 2, kvHeads: 1, dim: 32, full: true, name: "bidirectional "},
	{cu: []int32{0, 63, 129}, heads: 2, kvHeads: 1, dim: 32, window: 8, name: "window 8 "},
	{cu: []int32{0, 63, 129}, heads: 2, kvHeads: 1, dim: 32, window: 1, name: "window 1 "},
	{cu: []int32{0, 100}, heads: 2, kvHeads: 1, dim: 32, window: 65, name: "window 65 "},
	{cu: []int32{0, 7, 65}, heads: 2, kvHeads: 1, dim: 32, softCap: 1.5, name: "soft cap "},
	{cu: []int32{0, 7, 65}, heads: 4, kvHeads: 2, dim: 32, prefix: 5, name: "prefix 5 "},
	{cu: []int32{0, 7, 65}, heads: 2, kvHeads: 2, dim: 16, prefix: 65, window: 4, name: "prefix 65, window 4 "},
	{cu: []int32{0, 9}, heads: 2, kvHeads: 1, dim: 16, prefix: 3, softCap: 2, full: true, zeroPrefixGrad: true, name: "frozen prefix, soft cap, bidirectional "},
	{cu: []int32{0, 30, 100, 100, 164, 300}, heads: 4, kvHeads: 2, dim: 16, window: 60, name: "narrow window "},
	{cu: []int32{0, 1, 130, 131, 260, 389, 400, 529, 530}, heads: 4, kvHeads: 2, dim: 16, most: 129, name: "at most 129 "},
	{cu: []int32{0, 130, 258, 300, 601}, heads: 2, kvHeads: 1, dim: 16, most: 301, softCap: 2, prefix: 3, name: "at most 301, soft cap, prefix 3 "},
	{cu: []int32{0, 100, 228, 300, 420, 520, 620, 740, 800}, heads: 2, kvHeads: 1, dim: 16, most: 128, prefix: 3, full: true, name: "at most 128, prefix 3, bidirectional "},
	{cu: []int32{0}, heads: 2, kvHeads: 1, dim: 16, name: "no sequence "},
	{cu: []int32{0, 0, 0}, heads: 2, kvHeads: 1, dim: 16, name: "no token "},
	{cu: []int32{0, 1, 2, 2, 9}, heads: 4, kvHeads: 2, dim: 32, slots: 100, keys: []int32{0, 1, 20, 17, 40, 0, 50, 33}, name: "cache "},
	{cu: []int32{0, 1, 2}, heads: 5, kvHeads: 1, dim: 128, slots: 400, keys: []int32{0, 300, 310, 70}, name: "long cache "},
	{cu: []int32{0, 1, 2}, heads: 2, kvHeads: 1, dim: 256, slots: 90, prefix: 9, keys: []int32{0, 50, 50, 40}, name: "cache, prefix "},
	{cu: []int32{0, 1, 5}, heads: 3, kvHeads: 1, dim: 64, slots: 150, window: 7, prefix: 2, softCap: 3, keys: []int32{3, 65, 70, 70}, name: "cache, window, prefix, soft cap "},
}

func attentionCases() (all []Case) {
	for _, c := range attentions {
		all = append(all, Case{Op: "attention", Variant: c.String(), build: c.forward()})
		if c.keys == nil {
			all = append(all, Case{Op: "attention_backward", Variant: c.String(), build: c.backward()})
		}
	}
	bench := attention{name: "bench ", cu: []int32{0, 256, 512, 768, 1024}, heads: 9, kvHeads: 3, dim: 64}
	return append(all,
		Case{Op: "attention", Variant: bench.String(), bench: true, build: bench.forward()},
		Case{Op: "attention_backward", Variant: bench.String(), bench: true, build: bench.backward()})
}

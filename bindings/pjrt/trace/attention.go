package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// Attention is not fused by XLA: the scores of a block of queries exist as
// tensors. Blocks keep them small, and for causal attention a block looks only
// at keys that come before its end (and within the window).
const (
	queryBlock  = 256
	queryBlocks = 8 // at most, so that long sequences do not compile for minutes
)

// span is the keys that each query sees, as rows of K: [first, end), i32 [T].
type span struct{ first, end value }

// block is a range of queries and the range of keys that it may see.
type block struct{ from, to, low, high int }

// blocks divides the queries of an attention. With a cache or without
// causality every key may be seen.
func blocks(a bindings.AttentionArgs) (all []block) {
	t := a.Q.Rows()
	size := max(queryBlock, (t+queryBlocks-1)/queryBlocks)
	for from := 0; from < t; from += size {
		b := block{from, min(from+size, t), 0, a.K.Rows()}
		if !a.Keys.Valid() {
			if a.Causal {
				b.high = b.to
			}
			if a.Window > 0 {
				b.low = max(0, from-a.Window+1)
			}
		}
		all = append(all, b)
	}
	return all
}

// visible works out on the device what each query sees: no boundary is a
// constant. Every layer of a program asks for the same, so it is kept.
func (d *Tracer) visible(a bindings.AttentionArgs) span {
	cu := d.get(a.Cu)
	key := cu.name
	if a.Keys.Valid() {
		key += d.get(a.Keys).name
	}
	key += list([]int{a.Q.Rows(), a.Window})
	if a.Causal {
		key += "causal"
	}
	if s, ok := d.seen[key]; ok {
		return s
	}
	t, n := a.Q.Rows(), a.Cu.Len()-1
	place := d.iota("i32", 0, t)
	grid := []int{t, n}
	past := d.compare("GE", d.spread(place, grid, 0), d.spread(d.cut(cu, 0, 1, n+1), grid, 1))
	seq := d.fold(d.convert(past, "i32"), "add", 0, 1) // the sequence of each token
	from, to := d.rows(d.cut(cu, 0, 0, n), seq), d.rows(d.cut(cu, 0, 1, n+1), seq)
	start, count := from, d.sub(to, from)
	if a.Keys.Valid() {
		keys := d.get(a.Keys)
		column := func(i int) value { return d.rows(d.reshape(d.cut(keys, 1, i, i+1), n), seq) }
		start, count = column(0), column(1)
	}
	at := d.add(start, d.sub(count, d.sub(to, place))) // the row of the query among the keys
	one := d.num(1, at)
	s := span{start, d.add(start, count)}
	if a.Causal {
		s.end = d.add(at, one)
	}
	if a.Window > 0 {
		s.first = d.op("maximum", start, d.add(d.sub(at, d.num(float64(a.Window), at)), one))
	}
	d.seen[key] = s
	return s
}

// mask is where query i of a block sees key j of its range: the prefix, then
// rows of K.
func (d *Tracer) mask(a bindings.AttentionArgs, b block) value {
	s := d.visible(a)
	dims := []int{b.to - b.from, b.high - b.low}
	row := d.add(d.iota("i32", 1, dims...), d.fill(float64(b.low), "i32", dims...))
	m := d.op("and",
		d.compare("GE", row, d.spread(d.cut(s.first, 0, b.from, b.to), dims, 0)),
		d.compare("LT", row, d.spread(d.cut(s.end, 0, b.from, b.to), dims, 0)))
	if p := prefix(a); p > 0 {
		m = d.concat(1, d.constant("true", "i1", []int{dims[0], p}, typ("i1", []int{dims[0], p})), m)
	}
	return m
}

func prefix(a bindings.AttentionArgs) int {
	if !a.PrefixK.Valid() {
		return 0
	}
	return a.PrefixK.Rows()
}

// queries sees [T, KV·G·D] as [KV, T, G, D].
func (d *Tracer) queries(t bindings.Tensor, a bindings.AttentionArgs) value {
	return d.transpose(d.reshape(d.get(t), t.Rows(), a.KVHeads, a.Heads/a.KVHeads, a.Dim), 1, 0, 2, 3)
}

// keys sees the rows of keys or values, after those of the prefix, as [KV, P+S, D].
func (d *Tracer) keys(t, p bindings.Tensor, a bindings.AttentionArgs) value {
	v := d.reshape(d.get(t), t.Rows(), a.KVHeads, a.Dim)
	if p.Valid() {
		v = d.concat(0, d.reshape(d.get(p), p.Rows(), a.KVHeads, a.Dim), v)
	}
	return d.transpose(v, 1, 0, 2)
}

// part is the keys that a block looks at: the prefix, and its range.
func (d *Tracer) part(k value, a bindings.AttentionArgs, b block) value {
	p := prefix(a)
	if p == 0 {
		return d.cut(k, 1, b.low, b.high)
	}
	if b.low == 0 {
		return d.cut(k, 1, 0, p+b.high)
	}
	return d.concat(1, d.cut(k, 1, 0, p), d.cut(k, 1, p+b.low, p+b.high))
}

// scores are capped and scaled, [KV, T, G, S], with their derivative by q·k
// where a cap bends them.
func (d *Tracer) scores(q, k value, a bindings.AttentionArgs) (s, slope value) {
	s = d.scale(d.dot(q, k, [2][]int{{0}, {0}}, [2][]int{{3}, {2}}), a.Scale)
	if a.SoftCap > 0 {
		t := d.op("tanh", d.scale(s, 1/a.SoftCap))
		s, slope = d.scale(t, a.SoftCap), d.sub(d.num(1, t), d.mul(t, t))
	}
	return s, slope
}

// rowwise spreads [KV, T, G] over the keys.
func (d *Tracer) rowwise(x, s value) value { return d.spread(x, s.dims, 0, 1, 2) }

func (d *Tracer) Attention(o, lse bindings.Tensor, a bindings.AttentionArgs) {
	d.begin("attention")
	if a.Q.Rows() == 0 {
		d.set(o, d.fill(0, "f32", o.Shape.Dims()...))
		d.set(lse, d.fill(0, "f32", lse.Shape.Dims()...))
		return
	}
	q, k, v := d.queries(a.Q, a), d.keys(a.K, a.PrefixK, a), d.keys(a.V, a.PrefixV, a)
	var outs, lses []value
	for _, b := range blocks(a) {
		s, _ := d.scores(d.cut(q, 1, b.from, b.to), d.part(k, a, b), a)
		s = d.choose(d.spread(d.mask(a, b), s.dims, 1, 3), s, d.num(math.Inf(-1), s))
		big := d.max(s, 3)
		p := d.op("exponential", d.sub(s, d.rowwise(big, s)))
		sum := d.sum(p, 3)
		out := d.dot(d.convert(p, v.elem), d.part(v, a, b), [2][]int{{0}, {0}}, [2][]int{{3}, {1}})
		outs = append(outs, d.div(out, d.rowwise(sum, out)))
		lses = append(lses, d.add(big, d.op("log", sum)))
	}
	d.set(o, d.transpose(d.concat(1, outs...), 1, 0, 2, 3))
	d.set(lse, d.transpose(d.concat(1, lses...), 1, 0, 2))
}

// AttentionBackward: with p = exp(score − lse) and delta = do·o,
// dv = Σ p·do, ds = p·(do·v − delta), dq = Σ ds·slope·k, dk = Σ ds·slope·q.
// Scores are computed anew once do is there, not kept from the forward pass.
func (d *Tracer) AttentionBackward(g bindings.AttentionGrads, do, o, lse bindings.Tensor, a bindings.AttentionArgs) {
	d.begin("attention_backward")
	rows := a.Q.Rows()
	if rows == 0 {
		for _, t := range []bindings.Tensor{g.DQ, g.DK, g.DV} {
			d.set(t, d.fill(0, "f32", t.Shape.Dims()...))
		}
		return
	}
	groups, p := a.Heads/a.KVHeads, prefix(a)
	gy := d.queries(do, a)
	q := d.after(d.queries(a.Q, a), gy)
	k, v := d.keys(a.K, a.PrefixK, a), d.keys(a.V, a.PrefixV, a)
	l := d.transpose(d.reshape(d.get(lse), rows, a.KVHeads, groups), 1, 0, 2)
	delta := d.sum(d.mul(d.wide(gy), d.wide(d.queries(o, a))), 3)
	var dqs []value
	var dk, dv value
	for i, b := range blocks(a) {
		cut := func(x value) value { return d.cut(x, 1, b.from, b.to) }
		kb, vb, qb, gb := d.part(k, a, b), d.part(v, a, b), cut(q), cut(gy)
		s, slope := d.scores(qb, kb, a)
		prob := d.op("exponential", d.sub(s, d.rowwise(cut(l), s)))
		prob = d.choose(d.spread(d.mask(a, b), s.dims, 1, 3), prob, d.num(0, prob))
		dp := d.dot(gb, vb, [2][]int{{0}, {0}}, [2][]int{{3}, {2}})
		ds := d.scale(d.mul(prob, d.sub(dp, d.rowwise(cut(delta), dp))), a.Scale)
		if slope.name != "" {
			ds = d.mul(ds, slope)
		}
		ds, prob = d.convert(ds, q.elem), d.convert(prob, q.elem)
		dqs = append(dqs, d.dot(ds, kb, [2][]int{{0}, {0}}, [2][]int{{3}, {1}}))
		partK := d.whole(d.dot(ds, qb, [2][]int{{0}, {0}}, [2][]int{{1, 2}, {1, 2}}), p, b, a.K.Rows())
		partV := d.whole(d.dot(prob, gb, [2][]int{{0}, {0}}, [2][]int{{1, 2}, {1, 2}}), p, b, a.K.Rows())
		if i == 0 {
			dk, dv = partK, partV
		} else {
			dk, dv = d.add(dk, partK), d.add(dv, partV)
		}
	}
	d.set(g.DQ, d.transpose(d.concat(1, dqs...), 1, 0, 2, 3))
	for _, out := range []struct {
		t, prefix bindings.Tensor
		v         value
	}{{g.DK, g.DPK, dk}, {g.DV, g.DPV, dv}} {
		all := d.transpose(out.v, 1, 0, 2) // [P+S, KV, D]
		d.set(out.t, d.cut(all, 0, p, p+rows))
		if out.prefix.Valid() {
			d.accumulate(out.prefix, d.cut(all, 0, 0, p))
		}
	}
}

// whole puts the gradient of the keys of a block among those of all.
func (d *Tracer) whole(x value, p int, b block, rows int) value {
	if p == 0 || b.low == 0 {
		return d.pad(x, 1, b.low, rows-b.high, 0)
	}
	return d.concat(1, d.cut(x, 1, 0, p), d.pad(d.cut(x, 1, p, x.dims[1]), 1, b.low, rows-b.high, 0))
}

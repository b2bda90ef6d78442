package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// span is the keys that each query sees, as rows of K: [first, end), i32 [T].
type span struct{ first, end value }

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

// mask is where the queries of a group see the keys of their blocks: the prefix,
// then rows of K. [n, size, P+span]
func (d *Tracer) mask(a bindings.AttentionArgs, prefix int, g group) value {
	s := d.visible(a)
	dims := []int{g.n, g.size, g.span}
	row := d.add(d.iota("i32", 2, dims...), d.scale(d.iota("i32", 0, dims...), float64(g.size)))
	row = d.add(row, d.num(float64(g.low), row))
	of := func(v value) value {
		v = d.pad(d.cut(v, 0, g.from, g.to), 0, 0, g.n*g.size-(g.to-g.from), 0)
		return d.spread(d.reshape(v, g.n, g.size), dims, 0, 1)
	}
	m := d.op("and", d.compare("GE", row, of(s.first)), d.compare("LT", row, of(s.end)))
	if prefix > 0 {
		dims := []int{g.n, g.size, prefix}
		m = d.concat(2, d.constant("true", "i1", dims, typ("i1", dims)), m)
	}
	return m
}

// masked is s [KV·n, size·G, S] where the mask [n, size, S] holds, else a number.
func (d *Tracer) masked(s, mask value, with float64, a bindings.AttentionArgs) value {
	n, size, keys := mask.dims[0], mask.dims[1], mask.dims[2]
	all := []int{a.KVHeads, n, size, a.Heads / a.KVHeads, keys}
	v := d.reshape(s, all...)
	return d.reshape(d.choose(d.spread(mask, all, 1, 2, 4), v, d.num(with, v)), s.dims...)
}

// scores are capped and scaled, [KV·n, size·G, S], with their derivative by q·k
// where a cap bends them.
func (d *Tracer) scores(q, k value, a bindings.AttentionArgs) (s, slope value) {
	s = d.scale(d.batched(q, k, 2, 2), a.Scale)
	if a.SoftCap > 0 {
		t := d.op("tanh", d.scale(s, 1/a.SoftCap))
		s, slope = d.scale(t, a.SoftCap), d.sub(d.num(1, t), d.mul(t, t))
	}
	return s, slope
}

// batched is a product for each element of the first dimension.
func (d *Tracer) batched(x, y value, i, j int) value {
	return d.dot(x, y, [2][]int{{0}, {0}}, [2][]int{{i}, {j}})
}

// rowwise spreads a number for each row over its elements.
func (d *Tracer) rowwise(x, s value) value { return d.spread(x, s.dims, 0, 1) }

func (d *Tracer) Attention(o, lse bindings.Tensor, a bindings.AttentionArgs) {
	d.begin("attention")
	if a.Q.Rows() == 0 {
		d.set(o, d.fill(0, "f32", o.Shape.Dims()...))
		d.set(lse, d.fill(0, "f32", lse.Shape.Dims()...))
		return
	}
	each := a.Heads / a.KVHeads
	q, k, v := d.heads(a.Q, a), d.keys(a.K, a), d.keys(a.V, a)
	pk, pv := d.keys(a.PrefixK, a), d.keys(a.PrefixV, a)
	var outs, lses []value
	for _, g := range divide(a) {
		s, _ := d.scores(d.take(q, each, g), d.band(k, pk, g), a)
		s = d.masked(s, d.mask(a, s.dims[2]-g.span, g), math.Inf(-1), a)
		big := d.max(s, 2)
		p := d.op("exponential", d.sub(s, d.rowwise(big, s)))
		sum := d.sum(p, 2)
		out := d.batched(d.convert(p, v.elem), d.band(v, pv, g), 2, 1)
		outs = append(outs, d.give(d.div(out, d.rowwise(sum, out)), each, g))
		l := d.add(big, d.op("log", sum))
		lses = append(lses, d.give(d.reshape(l, append(l.dims, 1)...), each, g))
	}
	d.set(o, d.rowsOf(d.concat(1, outs...), a))
	d.set(lse, d.rowsOf(d.concat(1, lses...), a))
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
	each := a.Heads / a.KVHeads
	gy := d.heads(do, a)
	q := d.after(d.heads(a.Q, a), gy)
	k, v := d.keys(a.K, a), d.keys(a.V, a)
	pk, pv := d.keys(a.PrefixK, a), d.keys(a.PrefixV, a)
	l := d.heads(lse, a)
	delta := d.sum(d.mul(d.wide(gy), d.wide(d.heads(o, a))), 2)
	delta = d.reshape(delta, l.dims...)
	var dqs []value
	var dk, dv, dpk, dpv value
	for _, b := range divide(a) {
		cut := func(x value) value { return d.take(x, each, b) }
		row := func(x, s value) value { x = cut(x); return d.rowwise(d.reshape(x, x.dims[:2]...), s) }
		kb, vb, qb, gb := d.band(k, pk, b), d.band(v, pv, b), cut(q), cut(gy)
		s, slope := d.scores(qb, kb, a)
		p := s.dims[2] - b.span
		prob := d.masked(d.op("exponential", d.sub(s, row(l, s))), d.mask(a, p, b), 0, a)
		dp := d.batched(gb, vb, 2, 2)
		ds := d.scale(d.mul(prob, d.sub(dp, row(delta, dp))), a.Scale)
		if slope.name != "" {
			ds = d.mul(ds, slope)
		}
		ds, prob = d.convert(ds, q.elem), d.convert(prob, q.elem)
		dqs = append(dqs, d.give(d.batched(ds, kb, 2, 1), each, b))
		d.gather(&dpk, &dk, d.batched(ds, qb, 1, 1), p, rows, b)
		d.gather(&dpv, &dv, d.batched(prob, gb, 1, 1), p, rows, b)
	}
	d.set(g.DQ, d.rowsOf(d.concat(1, dqs...), a))
	back := func(v value) value { return d.transpose(v, 1, 0, 2) }
	d.set(g.DK, back(dk))
	d.set(g.DV, back(dv))
	if g.DPK.Valid() {
		d.accumulate(g.DPK, back(dpk))
	}
	if g.DPV.Valid() {
		d.accumulate(g.DPV, back(dpv))
	}
}

// gather adds the gradient of a band to those of the prefix and of the keys.
func (d *Tracer) gather(prefix, keys *value, band value, p, rows int, g group) {
	first, rest := d.unband(band, p, rows, g)
	if keys.name == "" {
		*prefix, *keys = first, rest
		return
	}
	if p > 0 {
		*prefix = d.add(*prefix, first)
	}
	*keys = d.add(*keys, rest)
}

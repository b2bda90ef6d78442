package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// seen is what one query of one head sees: rows of the prefix, then keys
// [first, end).
type seen struct{ query, head, kv, first, end int }

// visit calls f for each query and head.
func (d *device[F]) visit(op string, a bindings.AttentionArgs, f func(seen)) {
	cu, keys := d.ints(a.Cu), d.ints(a.Keys)
	if cu[0] != 0 || int(cu[len(cu)-1]) != a.Q.Rows() {
		d.fail(op, "boundaries run from %d to %d, want 0 to %d", cu[0], cu[len(cu)-1], a.Q.Rows())
		return
	}
	for s := range len(cu) - 1 {
		from, to := int(cu[s]), int(cu[s+1])
		start, n := from, to-from
		if a.Keys.Valid() {
			start, n = int(keys[2*s]), int(keys[2*s+1])
		}
		if from > to || to > a.Q.Rows() || start < 0 || n < to-from || start+n > a.K.Rows() {
			d.fail(op, "sequence %d has queries [%d, %d) and %d keys from %d of %d", s, from, to, n, start, a.K.Rows())
			return
		}
		for t := from; t < to; t++ {
			place := n - (to - t) // of the query among the keys
			first, end := 0, n
			if a.Causal {
				end = place + 1
			}
			if a.Window > 0 {
				first = max(0, place-a.Window+1)
			}
			for h := range a.Heads {
				f(seen{t, h, h / (a.Heads / a.KVHeads), start + first, start + end})
			}
		}
	}
}

// source is a matrix of keys or values of which one head is looked at.
type source[F real] struct {
	rows    []F
	kv, dim int
}

func (s source[F]) row(j, head int) []F {
	at := (j*s.kv + head) * s.dim
	return s.rows[at : at+s.dim]
}

// heads are the decoded inputs of an attention.
type heads[F real] struct {
	q, k, v, pk, pv source[F]
	prefix          int
	a               bindings.AttentionArgs
}

func (d *device[F]) heads(a bindings.AttentionArgs) heads[F] {
	kv := func(t bindings.Tensor) source[F] { return source[F]{d.load(t), a.KVHeads, a.Dim} }
	h := heads[F]{q: source[F]{d.load(a.Q), a.Heads, a.Dim}, k: kv(a.K), v: kv(a.V), a: a}
	if a.PrefixK.Valid() {
		h.pk, h.pv, h.prefix = kv(a.PrefixK), kv(a.PrefixV), a.PrefixK.Rows()
	}
	return h
}

// len is the number of keys that a query sees.
func (h heads[F]) len(s seen) int { return h.prefix + s.end - s.first }

// key and value number i of those that a query sees.
func (h heads[F]) key(s seen, i int) []F {
	if i < h.prefix {
		return h.pk.row(i, s.kv)
	}
	return h.k.row(s.first+i-h.prefix, s.kv)
}

func (h heads[F]) value(s seen, i int) []F {
	if i < h.prefix {
		return h.pv.row(i, s.kv)
	}
	return h.v.row(s.first+i-h.prefix, s.kv)
}

// score is the scaled and capped score of key i, and its derivative by q·k.
func (h heads[F]) score(s seen, i int) (score, slope float64) {
	z := h.a.Scale * dot(h.q.row(s.query, s.head), h.key(s, i))
	if c := h.a.SoftCap; c > 0 {
		t := math.Tanh(z / c)
		return c * t, h.a.Scale * (1 - t*t)
	}
	return z, h.a.Scale
}

func (d *device[F]) Attention(o, lse bindings.Tensor, a bindings.AttentionArgs) {
	d.types.Attention(o, lse, a)
	if !d.begin("attention", o, lse, a.Q, a.K, a.V, a.PrefixK, a.PrefixV, a.Cu, a.Keys, a.Scratch) {
		return
	}
	d.poison(a.Scratch)
	h, out, l := d.heads(a), source[F]{d.load(o), a.Heads, a.Dim}, d.load(lse)
	p := make([]float64, h.prefix+a.K.Rows())
	d.visit("attention", a, func(s seen) {
		p := p[:h.len(s)]
		big, sum := math.Inf(-1), 0.0
		for i := range p {
			p[i], _ = h.score(s, i)
			big = max(big, p[i])
		}
		acc := make([]float64, a.Dim)
		for i := range p {
			e := math.Exp(p[i] - big)
			sum += e
			axpy(acc, e, h.value(s, i))
		}
		for i := range acc {
			acc[i] /= sum
		}
		put(out.row(s.query, s.head), acc, bindings.Set)
		l[s.query*a.Heads+s.head] = F(big + math.Log(sum))
	})
	d.store(o, out.rows)
	d.store(lse, l)
}

// AttentionBackward: with p = exp(score − lse) and delta = do·o,
// dv = Σ p·do, ds = p·(do·v − delta), dq = Σ ds·slope·k, dk = Σ ds·slope·q.
func (d *device[F]) AttentionBackward(g bindings.AttentionGrads, do, o, lse bindings.Tensor, a bindings.AttentionArgs) {
	d.types.AttentionBackward(g, do, o, lse, a)
	if !d.begin("attention_backward", do, o, lse, a.Q, a.K, a.V, a.PrefixK, a.PrefixV, a.Cu, a.Scratch,
		g.DQ, g.DK, g.DV, g.DPK, g.DPV) {
		return
	}
	d.poison(a.Scratch)
	h := d.heads(a)
	dy, y, l := source[F]{d.load(do), a.Heads, a.Dim}, source[F]{d.load(o), a.Heads, a.Dim}, d.load(lse)
	width := a.KVHeads * a.Dim
	dq := make([]float64, a.Q.Len())
	dk, dv := make([]float64, a.K.Len()), make([]float64, a.V.Len())
	dpk, dpv := make([]float64, h.prefix*width), make([]float64, h.prefix*width)
	d.visit("attention_backward", a, func(s seen) {
		gy := dy.row(s.query, s.head)
		delta := dot(gy, y.row(s.query, s.head))
		at := (s.query*a.Heads + s.head) * a.Dim
		for i := range h.len(s) {
			score, slope := h.score(s, i)
			p := math.Exp(score - float64(l[s.query*a.Heads+s.head]))
			ds := p * (dot(gy, h.value(s, i)) - delta) * slope
			toK, toV, j := dk, dv, s.first+i-h.prefix
			if i < h.prefix {
				toK, toV, j = dpk, dpv, i
			}
			j = j*width + s.kv*a.Dim
			axpy(toV[j:j+a.Dim], p, gy)
			axpy(toK[j:j+a.Dim], ds, h.q.row(s.query, s.head))
			axpy(dq[at:at+a.Dim], ds, h.key(s, i))
		}
	})
	for _, out := range []struct {
		t   bindings.Tensor
		sum []float64
		how bindings.Write
	}{
		{g.DQ, dq, bindings.Set}, {g.DK, dk, bindings.Set}, {g.DV, dv, bindings.Set},
		{g.DPK, dpk, bindings.Accumulate}, {g.DPV, dpv, bindings.Accumulate},
	} {
		if out.t.Valid() {
			to := d.load(out.t)
			put(to, out.sum, out.how)
			d.store(out.t, to)
		}
	}
}

package nn

import "github.com/graftlm/graft/bindings"

// Attention is self-attention with grouped heads, rotary positions unless Rotary
// is 0, and an optional norm of each query and key head (Qwen3).
type Attention struct {
	BothWays            bool // tokens see those after them too
	Heads, KVHeads, Dim int
	Rotary              int // elements of a head that rotate
	Scale, SoftCap      float64
	Window              int // 0: all earlier tokens
	Q, K, V, O          *Linear
	QNorm, KNorm        *RMSNorm // nil: none
	Prefix              *Prefix  // nil: none; the layers of a decoder share it
}

// attentionState is what it keeps for the backward pass.
type attentionState struct {
	q, k, v        bindings.Tensor // rotated queries and keys
	o, lse         bindings.Tensor
	qn, kn         normState // before the norms of heads
	lq, lk, lv, lo linearState
	layer          int
}

func (a *Attention) save(r Reading, tokens int, in Batch) attentionState {
	s := attentionState{
		q:   r.New(tokens, a.Heads*a.Dim),
		k:   r.New(tokens, a.KVHeads*a.Dim),
		v:   r.New(tokens, a.KVHeads*a.Dim),
		o:   r.New(tokens, a.Heads*a.Dim),
		lse: r.Stat(tokens, a.Heads),
		lq:  a.Q.save(r, tokens, in), lk: a.K.save(r, tokens, in),
		lv: a.V.save(r, tokens, in), lo: a.O.save(r, tokens, in),
	}
	if a.QNorm != nil {
		s.qn = normState{r.New(tokens, a.Heads*a.Dim), r.Stat(tokens * a.Heads)}
		s.kn = normState{r.New(tokens, a.KVHeads*a.Dim), r.Stat(tokens * a.KVHeads)}
	}
	return s
}

// forward writes the output projection to y.
func (a *Attention) forward(r Reading, s *attentionState, y, x bindings.Tensor, in Batch, c *shared, layer int) {
	if a.QNorm != nil {
		a.Q.forward(r, &s.lq, s.qn.x, x)
		a.K.forward(r, &s.lk, s.kn.x, x)
		a.QNorm.forward(r, a.byHead(s.q), s.qn.rstd, a.byHead(s.qn.x))
		a.KNorm.forward(r, a.byHead(s.k), s.kn.rstd, a.byHead(s.kn.x))
	} else {
		a.Q.forward(r, &s.lq, s.q, x)
		a.K.forward(r, &s.lk, s.k, x)
	}
	a.V.forward(r, &s.lv, s.v, x)
	a.rotate(r, s.q, s.k, c, false)
	s.layer = layer
	a.attend(r, s, in, c, layer)
	a.O.forward(r, &s.lo, y, s.o)
}

// rotate turns queries and keys by their positions, in place; inverse is the
// backward pass.
func (a *Attention) rotate(r Reading, q, k bindings.Tensor, c *shared, inverse bool) {
	if a.Rotary > 0 {
		r.RoPE(q, q, c.rope, a.Dim, inverse)
		r.RoPE(k, k, c.rope, a.Dim, inverse)
	}
}

func (a *Attention) attend(r Reading, s *attentionState, in Batch, c *shared, layer int) {
	defer r.Release(r.Mark())
	args := a.args(r, *s, in, c, false)
	if in.Cache != nil {
		r.ScatterRows(in.Cache.K[layer], s.k, in.Cache.Rows)
		r.ScatterRows(in.Cache.V[layer], s.v, in.Cache.Rows)
		args.K, args.V, args.Keys = in.Cache.K[layer], in.Cache.V[layer], in.Cache.Keys
	}
	r.Attention(s.o, s.lse, args)
}

// backward writes dx, unless it is not valid, from the gradient dy of the
// output projection, and adds to the gradients of a prefix. It stops where
// neither the input nor what is before the scores is trained.
func (a *Attention) backward(r Reading, s attentionState, dx, dy bindings.Tensor, in Batch, c *shared) {
	defer r.Release(r.Mark())
	do := r.Like(s.o)
	dq, dk, dv := r.Like(s.q), r.Like(s.k), r.Like(s.v)
	a.O.backward(r, s.lo, do, bindings.Set, dy)
	below := dx.Valid() || a.trainsInput()
	if !below && !a.Prefix.Trains() {
		return
	}
	g := bindings.AttentionGrads{DQ: dq, DK: dk, DV: dv}
	if a.Prefix.Trains() {
		g.DPK, g.DPV = c.prefix.dk[s.layer], c.prefix.dv[s.layer]
	}
	mark := r.Mark()
	r.AttentionBackward(g, do, s.o, s.lse, a.args(r, s, in, c, true))
	r.Release(mark)
	if !below {
		return
	}
	a.rotate(r, dq, dk, c, true)
	if a.QNorm != nil {
		a.QNorm.backward(r, s.heads(a, s.qn), a.byHead(dq), bindings.Set, a.byHead(dq))
		a.KNorm.backward(r, s.heads(a, s.kn), a.byHead(dk), bindings.Set, a.byHead(dk))
	}
	a.Q.backward(r, s.lq, dx, bindings.Set, dq)
	a.K.backward(r, s.lk, dx, bindings.Accumulate, dk)
	a.V.backward(r, s.lv, dx, bindings.Accumulate, dv)
}

// trainsInput reports whether anything before the scores is trained.
func (a *Attention) trainsInput() bool {
	return a.Q.Trains() || a.K.Trains() || a.V.Trains() || a.QNorm != nil && (a.QNorm.W.Trainable || a.KNorm.W.Trainable)
}

func (s attentionState) heads(a *Attention, n normState) normState {
	return normState{a.byHead(n.x), n.rstd}
}

// byHead sees rows of heads as one row for each head.
func (a *Attention) byHead(t bindings.Tensor) bindings.Tensor { return t.Reshape(t.Len()/a.Dim, a.Dim) }

// args are those of the operation. A cache holds the prefix already.
func (a *Attention) args(r Reading, s attentionState, in Batch, c *shared, backward bool) bindings.AttentionArgs {
	args := bindings.AttentionArgs{
		Q: s.q, K: s.k, V: s.v, Cu: in.Cu,
		Heads: a.Heads, KVHeads: a.KVHeads, Dim: a.Dim,
		Scale: a.Scale, SoftCap: a.SoftCap, Causal: !a.BothWays, Window: a.Window, Longest: in.Longest,
	}
	if a.Prefix != nil && in.Cache == nil {
		args.PrefixK, args.PrefixV = c.prefix.k[s.layer], c.prefix.v[s.layer]
	}
	args.Scratch = r.Scratch(r.Profile.AttentionScratch(s.q.Rows(), a.Prefix.Len(), a.Heads, a.KVHeads, a.Dim, backward))
	return args
}

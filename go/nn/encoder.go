package nn

import "github.com/graftlm/graft/bindings"

// Encoder is a BERT-type model (arXiv 1810.04805): sums of word, position and
// token-type embeddings, normed; blocks whose norms follow the residual sum;
// attention in both directions. Its states are those of the last block. All
// tokens are of type 0, and no dropout is applied.
type Encoder struct {
	Hidden               int
	Words, Places, Kinds *Param // [V, h], [positions, h], [types, h]
	Norm                 *LayerNorm
	Blocks               []*EncoderBlock
}

// Linears lists the linear layers of all blocks.
func (e *Encoder) Linears() []*Linear {
	var all []*Linear
	for _, b := range e.Blocks {
		all = append(all, b.Linears()...)
	}
	return all
}

// Width is the number of columns of the states.
func (e *Encoder) Width() int { return e.Hidden }

// below reports whether anything before the blocks is trained.
func (e *Encoder) below() bool {
	return e.Words.Trainable || e.Places.Trainable || e.Kinds.Trainable || e.Norm.trains()
}

// embedding is what the embeddings keep for the backward pass.
type embedding struct {
	kinds bindings.Tensor // [T] i32, zeros
	norm  layerNormState
}

// embed writes the first residual stream to y.
func (e *Encoder) embed(r Reading, y bindings.Tensor, in Batch) embedding {
	t := in.IDs.Len()
	s := embedding{r.Act(bindings.I32, t), layerNormState{r.Like(y), r.Stat(t), r.Stat(t)}}
	defer r.Release(r.Mark())
	part := r.Like(y)
	r.Zero(s.kinds)
	r.Embedding(s.norm.x, e.Words.Value, in.IDs)
	r.Embedding(part, e.Kinds.Value, s.kinds)
	r.Add(s.norm.x, s.norm.x, part)
	r.Embedding(part, e.Places.Value, in.Positions)
	e.Norm.forwardAdd(r, y, &s.norm, s.norm.x, part)
	return s
}

func (e *Encoder) embedBackward(r Reading, s embedding, dres bindings.Tensor, in Batch) {
	e.Norm.backward(r, s.norm, dres, bindings.Set, dres)
	for _, x := range []struct {
		p   *Param
		ids bindings.Tensor
	}{{e.Words, in.IDs}, {e.Places, in.Positions}, {e.Kinds, s.kinds}} {
		if x.p.Trainable {
			r.EmbeddingBackward(x.p.Grad, dres, x.ids)
		}
	}
}

// Through runs the encoder forward, gives its states to top, and runs backward.
func (e *Encoder) Through(r Reading, in Batch, top func(x, dx bindings.Tensor)) {
	defer r.Release(r.Mark())
	dres, x := r.New(in.IDs.Len(), e.Hidden), r.New(in.IDs.Len(), e.Hidden)
	s := e.embed(r, x, in)
	through[*encoderState](r, e.Blocks, dres, x, in, nil, e.below(), func(x bindings.Tensor, wanted bool) {
		if wanted {
			top(x, dres)
		} else {
			top(x, bindings.Tensor{})
		}
	})
	if e.below() {
		e.embedBackward(r, s, dres, in)
	}
}

// States writes the states of a micro-batch, without a record.
func (e *Encoder) States(r Reading, states bindings.Tensor, in Batch) {
	in.Training = false
	mark := r.Mark()
	e.embed(r, states, in)
	r.Release(mark)
	for i := range e.Blocks {
		pass[*encoderState](r, e.Blocks[i], states, in, nil, i)
	}
}

// EncoderBlock is one layer: attention and a feed-forward layer, each followed
// by the residual sum and a norm.
type EncoderBlock struct {
	Attention           *Attention
	AttentionNorm, Norm *LayerNorm
	Up, Down            *Linear
	Function            bindings.ActivationFunction
}

// encoderState is what a block keeps between forward and backward.
type encoderState struct {
	attn      attentionState
	first     layerNormState // of x plus attention
	middle    bindings.Tensor
	up, act   bindings.Tensor // act is kept only where the down projection trains
	lup, down linearState
	last      layerNormState // of middle plus feed-forward
}

// Linears lists the block's linear layers in the order of the checkpoint.
func (b *EncoderBlock) Linears() []*Linear {
	a := b.Attention
	return []*Linear{a.Q, a.K, a.V, a.O, b.Up, b.Down}
}

// Trains reports whether anything in the block is trained.
func (b *EncoderBlock) Trains() bool {
	for _, l := range b.Linears() {
		if l.Trains() {
			return true
		}
	}
	return b.AttentionNorm.trains() || b.Norm.trains()
}

func (b *EncoderBlock) forward(r Reading, y, x bindings.Tensor, in Batch, c *shared, i int) *encoderState {
	t, n := x.Rows(), b.Up.Out()
	s := &encoderState{
		attn: b.Attention.save(r, t, in), first: layerNormState{r.Like(x), r.Stat(t), r.Stat(t)}, middle: r.Like(x),
		up: r.New(t, n), act: r.kept(in.Training && b.Down.Trains(), t, n),
		lup: b.Up.save(r, t, in), down: b.Down.save(r, t, in), last: layerNormState{r.Like(x), r.Stat(t), r.Stat(t)},
	}
	defer r.Release(r.Mark())
	y = r.temporary(y, x.Shape.Dims()...)
	out := r.Like(x)
	mark := r.Mark()
	b.Attention.forward(r, &s.attn, out, x, in, c, i)
	r.Release(mark)
	b.AttentionNorm.forwardAdd(r, s.middle, &s.first, x, out)
	act := r.temporary(s.act, t, n)
	b.Up.forward(r, &s.lup, s.up, s.middle)
	r.Activation(act, s.up, b.Function)
	b.Down.forward(r, &s.down, out, act)
	b.Norm.forwardAdd(r, y, &s.last, s.middle, out)
	return s
}

// backward overwrites what was saved of the feed-forward layer.
func (b *EncoderBlock) backward(r Reading, s *encoderState, dres bindings.Tensor, in Batch, c *shared, lowest bool) {
	defer r.Release(r.Mark())
	b.Norm.backward(r, s.last, dres, bindings.Set, dres)
	mark := r.Mark()
	dact := r.Like(s.up)
	b.Down.backward(r, s.down, dact, bindings.Set, dres)
	r.ActivationBackward(s.up, dact, s.up, b.Function)
	r.Release(mark)
	b.Up.backward(r, s.lup, dres, bindings.Accumulate, s.up)
	b.AttentionNorm.backward(r, s.first, dres, bindings.Set, dres)
	if lowest {
		b.Attention.backward(r, s.attn, bindings.Tensor{}, dres, in, c)
		return
	}
	dx := r.Like(dres)
	b.Attention.backward(r, s.attn, dx, dres, in, c)
	r.Add(dres, dres, dx)
}

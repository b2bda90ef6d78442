package nn

import "github.com/graftlm/graft/bindings"

// Block is one decoder layer: attention and a gated MLP, both pre-normed.
type Block struct {
	InputNorm, PostNorm *RMSNorm
	Attention           *Attention
	MLP                 *MLP
}

// blockState is what a block keeps between forward and backward.
type blockState struct {
	n1, n2   bindings.Tensor // normed inputs, kept only where a linear layer trains on them
	in, post normState
	attn     attentionState
	mlp      mlpState
}

// Linears lists the block's linear layers in the order of the checkpoint.
func (b *Block) Linears() []*Linear {
	a, m := b.Attention, b.MLP
	return []*Linear{a.Q, a.K, a.V, a.O, m.Gate, m.Up, m.Down}
}

// Trains reports whether anything in the block is trained.
func (b *Block) Trains() bool {
	for _, l := range b.Linears() {
		if l.Trains() {
			return true
		}
	}
	return b.InputNorm.W.Trainable || b.PostNorm.W.Trainable || b.Attention.trainsInput() || b.Attention.Prefix.Trains()
}

func (b *Block) save(r Reading, x bindings.Tensor, in Batch) *blockState {
	a, t, dims := b.Attention, x.Rows(), x.Shape.Dims()
	return &blockState{
		in:   normState{x, r.Stat(t)},
		post: normState{r.New(dims...), r.Stat(t)},
		n1:   r.kept(in.Training && (a.Q.Trains() || a.K.Trains() || a.V.Trains()), dims...),
		n2:   r.kept(in.Training && (b.MLP.Gate.Trains() || b.MLP.Up.Trains()), dims...),
		attn: a.save(r, t, in),
		mlp:  b.MLP.save(r, t, in),
	}
}

// forward writes the residual stream after the block to y; layer is the
// block's number, for the cache. y may be absent.
func (b *Block) forward(r Reading, y, x bindings.Tensor, in Batch, c *shared, layer int) *blockState {
	s := b.save(r, x, in)
	defer r.Release(r.Mark())
	out := r.Like(x)

	attn := r.Mark()
	n1 := r.temporary(s.n1, x.Shape.Dims()...)
	b.InputNorm.forward(r, n1, s.in.rstd, x)
	b.Attention.forward(r, &s.attn, out, n1, in, c, layer)
	r.Release(attn)

	n2 := r.temporary(s.n2, x.Shape.Dims()...)
	b.PostNorm.forwardAdd(r, n2, s.post.x, s.post.rstd, x, out)
	if !y.Valid() {
		b.MLP.again(r, &s.mlp, out, n2)
		return s
	}
	b.MLP.forward(r, &s.mlp, out, n2)
	r.Add(y, s.post.x, out)
	return s
}

// backward turns dres, the gradient of the block's output, into that of its
// input, in place. In the lowest block nothing below is trained, and it stops
// at the block's own parameters.
func (b *Block) backward(r Reading, s *blockState, dres bindings.Tensor, in Batch, c *shared, lowest bool) {
	defer r.Release(r.Mark())
	dn := r.Like(dres)
	b.MLP.backward(r, s.mlp, dn, dres)
	b.PostNorm.backward(r, s.post, dres, bindings.Accumulate, dn)

	if lowest && !b.InputNorm.W.Trainable {
		b.Attention.backward(r, s.attn, bindings.Tensor{}, dres, in, c)
		return
	}
	b.Attention.backward(r, s.attn, dn, dres, in, c)
	b.InputNorm.backward(r, s.in, dres, bindings.Accumulate, dn)
}

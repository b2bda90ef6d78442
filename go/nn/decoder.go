package nn

import "github.com/graftlm/graft/bindings"

// Decoder is a Llama-type language model: embedding, blocks, norm, head. It
// says where its tensors are; go/model builds one from a config.
type Decoder struct {
	Hidden, Vocab int
	Embed         *Param // [V, h]
	Blocks        []*Block
	Norm          *RMSNorm
	Head          *Param // [V, h]; Embed itself where they are tied
	Rotary        int    // elements of a head that rotate
	RotaryScale   float64
	Recompute     bool // keep only the inputs of blocks, and run them again
}

// shared is what all blocks of a micro-batch use.
type shared struct{ rope bindings.Tensor }

// Linears lists the linear layers of all blocks.
func (d *Decoder) Linears() []*Linear {
	var all []*Linear
	for _, b := range d.Blocks {
		all = append(all, b.Linears()...)
	}
	return all
}

// lowest is the first block that the backward pass visits: the lowest that
// trains, or 0 with below true if the embedding trains. It is len(Blocks) if
// nothing in or below the blocks does.
func (d *Decoder) lowest() (block int, below bool) {
	if d.Embed.Trainable {
		return 0, true
	}
	for i, b := range d.Blocks {
		if b.Trains() {
			return i, false
		}
	}
	return len(d.Blocks), false
}

func (d *Decoder) shared(r Reading, in Batch) *shared {
	t := r.New(in.Positions.Len(), d.Rotary)
	r.RoPETable(t, in.Positions, in.Freq, d.RotaryScale)
	return &shared{rope: t}
}

// ForwardBackward adds the loss of one micro-batch to loss [2] (see
// bindings.Ops.LinearCrossEntropy) and its gradients to those of the trainable
// parameters. It leaves the activation stack as it found it.
func (d *Decoder) ForwardBackward(r Reading, loss bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	t := in.IDs.Len()
	c := d.shared(r, in)
	dres := r.New(t, d.Hidden)
	lowest, below := d.lowest()

	frozen := in
	frozen.Training = false
	x := r.New(t, d.Hidden)
	r.Embedding(x, d.Embed.Value, in.IDs)
	for i := range lowest {
		x = d.pass(r, x, frozen, c, i)
	}
	n := len(d.Blocks)
	marks, states, inputs := make([]bindings.Mark, n), make([]*blockState, n), make([]bindings.Tensor, n)
	for i := lowest; i < n; i++ {
		y := r.New(t, d.Hidden)
		marks[i], inputs[i] = r.Mark(), x
		states[i] = d.Blocks[i].forward(r, y, x, in, c, i)
		if d.Recompute {
			r.Release(marks[i])
		}
		x = y
	}
	d.output(r, loss, dres, x, in, lowest < n || below)
	for i := n - 1; i >= lowest; i-- {
		if d.Recompute {
			r.Order(dres, inputs[i])
			states[i] = d.Blocks[i].forward(r, r.New(t, d.Hidden), inputs[i], in, c, i)
		}
		d.Blocks[i].backward(r, states[i], dres, in, c, i == lowest && !below)
		r.Release(marks[i])
	}
	if below {
		r.EmbeddingBackward(d.Embed.Grad, dres, in.IDs)
	}
}

// Loss adds the loss of one micro-batch to loss [2] without gradients.
func (d *Decoder) Loss(r Reading, loss bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	in.Training = false
	x := d.hidden(r, in)
	n := r.Like(x)
	d.Norm.forward(r, n, r.Stat(x.Rows()), x)
	r.LinearCrossEntropy(loss, bindings.Tensor{}, bindings.Tensor{}, d.lossArgs(r, n, in))
}

// Logits writes the float logits [n, V] of the given rows of a micro-batch.
func (d *Decoder) Logits(r Reading, logits, rows bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	in.Training = false
	x := d.hidden(r, in)
	last, n, z := r.New(rows.Len(), d.Hidden), r.New(rows.Len(), d.Hidden), r.New(rows.Len(), d.Vocab)
	r.Embedding(last, x, rows)
	d.Norm.forward(r, n, r.Stat(rows.Len()), last)
	head := Linear{Name: "lm_head", W: d.Head}
	s := head.save(r, rows.Len(), in)
	head.forward(r, &s, z, n)
	r.Cast(logits, z)
}

// hidden is the residual stream after the last block, without a record. The
// two streams that blocks write to in turn are all that stays allocated.
func (d *Decoder) hidden(r Reading, in Batch) bindings.Tensor {
	x := r.New(in.IDs.Len(), d.Hidden)
	c := d.shared(r, in)
	r.Embedding(x, d.Embed.Value, in.IDs)
	for i := range d.Blocks {
		x = d.pass(r, x, in, c, i)
	}
	return x
}

// pass runs one block forward and keeps nothing: its output replaces x.
func (d *Decoder) pass(r Reading, x bindings.Tensor, in Batch, c *shared, i int) bindings.Tensor {
	defer r.Release(r.Mark())
	y := r.Like(x)
	d.Blocks[i].forward(r, y, x, in, c, i)
	r.Cast(x, y)
	return x
}

// output is the last norm, the loss, and both backward.
func (d *Decoder) output(r Reading, loss, dres, x bindings.Tensor, in Batch, wanted bool) {
	defer r.Release(r.Mark())
	n, rstd := r.Like(x), r.Stat(x.Rows())
	s := d.Norm.forward(r, n, rstd, x)
	var dn bindings.Tensor
	if wanted || d.Norm.W.Trainable {
		dn = r.Like(x)
	} else {
		dres = bindings.Tensor{}
	}
	r.LinearCrossEntropy(loss, dn, d.Head.Grad, d.lossArgs(r, n, in))
	d.Norm.backward(r, s, dres, bindings.Set, dn)
}

func (d *Decoder) lossArgs(r Reading, x bindings.Tensor, in Batch) bindings.CrossEntropyArgs {
	w := d.Head.Weight()
	return bindings.CrossEntropyArgs{
		X: x, W: w, Rows: in.Rows, Targets: in.Targets, Weights: in.Weights, Inverse: in.Inverse,
		Scratch: r.Scratch(r.Profile.CrossEntropyScratch(in.Rows.Len(), w)),
	}
}

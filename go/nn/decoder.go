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

func (d *Decoder) shared(r Reading, in Batch) *shared {
	t := r.New(in.Positions.Len(), d.Rotary)
	r.RoPETable(t, in.Positions, in.Freq, d.RotaryScale)
	return &shared{rope: t}
}

// ForwardBackward adds the loss of one micro-batch to loss [2] (see
// bindings.Ops.LinearCrossEntropy) and its gradients to those of the trainable
// parameters. It leaves the activation stack as it found it.
func (d *Decoder) ForwardBackward(r Reading, loss bindings.Tensor, in Batch) {
	d.Through(r, in, func(x, dx bindings.Tensor) {
		r.LinearCrossEntropy(loss, dx, d.Head.Grad, d.lossArgs(r, x, in))
	})
}

// Through runs the decoder forward up to its last norm, gives the normed states
// x [T, h] to top, which writes their gradient to dx unless that is not valid,
// and runs backward.
func (d *Decoder) Through(r Reading, in Batch, top func(x, dx bindings.Tensor)) {
	defer r.Release(r.Mark())
	t := in.IDs.Len()
	c := d.shared(r, in)
	dres, x := r.New(t, d.Hidden), r.New(t, d.Hidden)
	r.Embedding(x, d.Embed.Value, in.IDs)
	through[*blockState](r, d.Blocks, d.Recompute, dres, x, in, c, d.Embed.Trainable, func(x bindings.Tensor, wanted bool) {
		d.output(r, dres, x, wanted, top)
	})
	if d.Embed.Trainable {
		r.EmbeddingBackward(d.Embed.Grad, dres, in.IDs)
	}
}

// States writes the normed states [T, h] of a micro-batch, without a record.
func (d *Decoder) States(r Reading, states bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	in.Training = false
	x := d.hidden(r, in)
	d.Norm.forward(r, states, r.Stat(x.Rows()), x)
}

// Width is the number of columns of the states.
func (d *Decoder) Width() int { return d.Hidden }

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
		x = pass[*blockState](r, d.Blocks[i], x, in, c, i)
	}
	return x
}

// output is the last norm, what lies on top of it, and both backward.
func (d *Decoder) output(r Reading, dres, x bindings.Tensor, wanted bool, top func(x, dx bindings.Tensor)) {
	defer r.Release(r.Mark())
	n, rstd := r.Like(x), r.Stat(x.Rows())
	s := d.Norm.forward(r, n, rstd, x)
	var dn bindings.Tensor
	if wanted || d.Norm.W.Trainable {
		dn = r.Like(x)
	}
	top(n, dn)
	if !wanted {
		dres = bindings.Tensor{}
	}
	d.Norm.backward(r, s, dres, bindings.Set, dn)
}

func (d *Decoder) lossArgs(r Reading, x bindings.Tensor, in Batch) bindings.CrossEntropyArgs {
	w := d.Head.Weight()
	return bindings.CrossEntropyArgs{
		X: x, W: w, Rows: in.Rows, Targets: in.Targets, Weights: in.Weights, Inverse: in.Inverse,
		Scratch: r.Scratch(r.Profile.CrossEntropyScratch(in.Rows.Len(), w)),
	}
}

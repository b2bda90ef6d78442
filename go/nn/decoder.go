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
	Prompt        *Prompt
	Prefix        *Prefix

	// What the loss of training has besides (bindings.CrossEntropyArgs).
	LabelSmoothing, ZLoss float64
}

// Virtual is the number of positions that are taken before the first token of
// every sequence.
func (d *Decoder) Virtual() int { return d.Prompt.Len() + d.Prefix.Len() }

// SetPrefix puts a prefix into every layer.
func (d *Decoder) SetPrefix(p *Prefix) {
	d.Prefix = p
	for _, b := range d.Blocks {
		b.Attention.Prefix = p
	}
}

// shared is what all blocks of a micro-batch use.
type shared struct {
	rope   bindings.Tensor
	prompt promptState
	prefix *prefixState // nil: none
}

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
	c := &shared{rope: t}
	if in.Virtual.Valid() {
		c.prompt = d.Prompt.forward(r)
	}
	if d.Prefix != nil && in.Cache == nil {
		c.prefix = d.Prefix.forward(r, in.Training)
	}
	return c
}

// stream allocates the residual stream of a micro-batch, and rows after its
// end: there the prompts of the sequences that a bucket only has room for go.
// They cost memory and no time.
func (d *Decoder) stream(r Reading, in Batch) (tokens, all bindings.Tensor) {
	t, beyond := in.IDs.Len(), 0
	if in.Virtual.Valid() {
		beyond = in.Virtual.Len()
	}
	all = r.New(t+beyond, d.Hidden)
	return all.RowRange(0, t), all
}

// embed is what the first block is given.
func (d *Decoder) embed(r Reading, in Batch, c *shared) bindings.Tensor {
	x, all := d.stream(r, in)
	r.Embedding(x, d.Embed.Value, in.IDs)
	if in.Virtual.Valid() {
		d.Prompt.put(r, c.prompt, all, in)
	}
	return x
}

// ForwardBackward adds the loss of one micro-batch to loss [2] (see
// bindings.Ops.LinearCrossEntropy) and its gradients to those of the trainable
// parameters. It leaves the activation stack as it found it.
func (d *Decoder) ForwardBackward(r Reading, loss bindings.Tensor, in Batch) {
	d.Through(r, in, func(x, dx bindings.Tensor) {
		a := d.lossArgs(r, x, in)
		a.LabelSmoothing, a.ZLoss = d.LabelSmoothing, d.ZLoss
		r.LinearCrossEntropy(loss, dx, d.Head.Grad, a)
	})
}

// Through runs the decoder forward up to its last norm, gives the normed states
// x [T, h] to top, which writes their gradient to dx unless that is not valid,
// and runs backward.
func (d *Decoder) Through(r Reading, in Batch, top func(x, dx bindings.Tensor)) {
	defer r.Release(r.Mark())
	c := d.shared(r, in)
	dres, dall := d.stream(r, in)
	x := d.embed(r, in, c)
	through[*blockState](r, d.Blocks, dres, x, in, c, d.Embed.Trainable || d.Prompt.Trains(), func(x bindings.Tensor, wanted bool) {
		d.output(r, dres, x, wanted, top)
	})
	if d.Embed.Trainable {
		r.EmbeddingBackward(d.Embed.Grad, dres, in.IDs)
	}
	if d.Prompt.Trains() {
		r.Zero(dall.RowRange(dres.Rows(), dall.Rows()))
		d.Prompt.backward(r, c.prompt, dall, in)
	}
	if d.Prefix.Trains() {
		d.Prefix.backward(r, c.prefix)
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

// Prime writes the keys and values of the virtual tokens to the rows of the
// cache that in names: what every sequence begins with. in has the virtual
// tokens of one sequence, and no others.
func (d *Decoder) Prime(r Reading, in Batch) {
	defer r.Release(r.Mark())
	if d.Prefix == nil {
		in.Training = false
		d.hidden(r, in)
		return
	}
	s := d.Prefix.forward(r, false)
	for i := range s.k {
		r.ScatterRows(in.Cache.K[i], s.k[i], in.Cache.Rows)
		r.ScatterRows(in.Cache.V[i], s.v[i], in.Cache.Rows)
	}
}

// hidden is the residual stream after the last block, without a record. The
// two streams that blocks write to in turn are all that stays allocated.
func (d *Decoder) hidden(r Reading, in Batch) bindings.Tensor {
	c := d.shared(r, in)
	x := d.embed(r, in, c)
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

package nn

import "github.com/graftlm/graft/bindings"

// Prompt is a soft prompt (arXiv 2104.08691): k vectors that stand before the
// embeddings of the tokens of every sequence, and take its first k positions.
// They are parameters, or the result of an encoder (arXiv 2103.10385).
type Prompt struct {
	Rows    *Param         // [k, h]
	Encoder *PromptEncoder // instead of Rows
}

// promptState is the vectors [k, h] of a micro-batch.
type promptState struct {
	rows    bindings.Tensor
	encoder promptEncoderState
}

// Len is the number of vectors; 0 for no prompt.
func (p *Prompt) Len() int {
	switch {
	case p == nil:
		return 0
	case p.Encoder != nil:
		return p.Encoder.Embedding.Shape[0]
	}
	return p.Rows.Shape[0]
}

// Trains reports whether the prompt is trained.
func (p *Prompt) Trains() bool {
	return p != nil && (p.Encoder != nil && p.Encoder.Trains() || trains(p.Rows))
}

func (p *Prompt) forward(r Reading) promptState {
	if p.Encoder == nil {
		return promptState{rows: p.Rows.Value}
	}
	s := p.Encoder.forward(r)
	return promptState{s.y[0], s}
}

// put writes the prompt over the rows of x that are virtual tokens.
func (p *Prompt) put(r Reading, s promptState, x bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	all := r.New(in.Virtual.Len(), x.Cols())
	r.Embedding(all, s.rows, in.Slots)
	r.ScatterRows(x, all, in.Virtual)
}

// backward adds the gradients of the same rows, from the gradient dx of x.
func (p *Prompt) backward(r Reading, s promptState, dx bindings.Tensor, in Batch) {
	defer r.Release(r.Mark())
	all := r.New(in.Virtual.Len(), dx.Cols())
	r.Embedding(all, dx, in.Virtual)
	if p.Encoder == nil {
		r.EmbeddingBackward(p.Rows.Grad, all, in.Slots)
		return
	}
	drows := r.Stat(s.rows.Shape.Dims()...)
	r.Zero(drows)
	r.EmbeddingBackward(drows, all, in.Slots)
	p.Encoder.backward(r, s.encoder, []bindings.Tensor{drows})
}

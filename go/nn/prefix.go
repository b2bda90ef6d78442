package nn

import "github.com/graftlm/graft/bindings"

// Prefix is k keys and values in each layer that every token sees before those
// of its own sequence (arXiv 2101.00190). They are neither normed nor rotated,
// and the first token stands at position k. They are parameters, or the result
// of an encoder whose output layers are K and V of each layer in turn.
type Prefix struct {
	K, V    []*Param       // a layer each, [k, kv heads·dim]
	Encoder *PromptEncoder // instead of K and V
}

// prefixState is the keys and values of a micro-batch, and their gradients.
type prefixState struct {
	k, v, dk, dv []bindings.Tensor
	encoder      promptEncoderState
}

// Len is the number of keys; 0 for no prefix.
func (p *Prefix) Len() int {
	switch {
	case p == nil:
		return 0
	case p.Encoder != nil:
		return p.Encoder.Embedding.Shape[0]
	}
	return p.K[0].Shape[0]
}

// Trains reports whether the prefix is trained.
func (p *Prefix) Trains() bool {
	return p != nil && (p.Encoder != nil && p.Encoder.Trains() || p.Encoder == nil && p.K[0].Trainable)
}

// forward gives the keys and values in the compute type. With training there
// is a place for their gradients too.
func (p *Prefix) forward(r Reading, training bool) *prefixState {
	s := &prefixState{}
	if p.Encoder == nil {
		for i, k := range p.K {
			s.k, s.v = append(s.k, r.compute(k.Value)), append(s.v, r.compute(p.V[i].Value))
			s.dk, s.dv = append(s.dk, k.Grad), append(s.dv, p.V[i].Grad)
		}
		return s
	}
	s.encoder = p.Encoder.forward(r)
	for i, y := range s.encoder.y {
		var dy bindings.Tensor
		if training {
			dy = r.Stat(y.Shape.Dims()...)
			r.Zero(dy)
		}
		if i%2 == 0 {
			s.k, s.dk = append(s.k, y), append(s.dk, dy)
		} else {
			s.v, s.dv = append(s.v, y), append(s.dv, dy)
		}
	}
	return s
}

// backward carries the gradients on, where the keys and values are no
// parameters: attention has added to them.
func (p *Prefix) backward(r Reading, s *prefixState) {
	if p.Encoder == nil {
		return
	}
	var dy []bindings.Tensor
	for i := range s.dk {
		dy = append(dy, s.dk[i], s.dv[i])
	}
	p.Encoder.backward(r, s.encoder, dy)
}

package nn

import "github.com/graftlm/graft/bindings"

// Moments are the state of AdamW: for the first part of the flat buffers in
// eight bits with a scale for each bindings.StateBlock elements, for the rest in
// the type of parameters. A part of no length has no tensors.
type Moments struct {
	ExpAvg, ExpAvgSq         bindings.Tensor // [rest]
	Codes, CodesSq           bindings.Tensor // [coded] u8
	CodesScale, CodesSqScale bindings.Tensor // [coded/StateBlock]
	coded                    int
}

func newMoments(m *bindings.Memory, t Types, coded, rest int) (s Moments) {
	s.coded = coded
	if coded > 0 {
		s.Codes = m.Alloc(bindings.Trainable, bindings.U8, coded)
		s.CodesSq = m.Alloc(bindings.Trainable, bindings.U8, coded)
		s.CodesScale = m.Alloc(bindings.Trainable, t.Param, coded/bindings.StateBlock)
		s.CodesSqScale = m.Alloc(bindings.Trainable, t.Param, coded/bindings.StateBlock)
	}
	if rest > 0 {
		s.ExpAvg = m.Alloc(bindings.Trainable, t.Param, rest)
		s.ExpAvgSq = m.Alloc(bindings.Trainable, t.Param, rest)
	}
	return s
}

// NamedTensor is a part of the optimizer's state under its name in a checkpoint.
type NamedTensor struct {
	Name   string
	Tensor bindings.Tensor
}

// Tensors lists what there is of the moments: it is all of the optimizer's
// state but the number of steps.
func (s Moments) Tensors() (all []NamedTensor) {
	for _, t := range []NamedTensor{
		{"exp_avg", s.ExpAvg}, {"exp_avg_sq", s.ExpAvgSq},
		{"exp_avg_codes", s.Codes}, {"exp_avg_scale", s.CodesScale},
		{"exp_avg_sq_codes", s.CodesSq}, {"exp_avg_sq_scale", s.CodesSqScale},
	} {
		if t.Tensor.Valid() {
			all = append(all, t)
		}
	}
	return all
}

// Bytes is the size of the moments.
func (s Moments) Bytes() (n int64) {
	for _, t := range s.Tensors() {
		n += t.Tensor.Bytes()
	}
	return n
}

// update is AdamW on one range of the flat buffers.
func (s Moments) update(r Reading, p, g, norm, lr bindings.Tensor, of GroupRange, h bindings.AdamWHyper) {
	if of.EightBit {
		scale := func(t bindings.Tensor) bindings.Tensor {
			return t.View(of.First/bindings.StateBlock, of.Len/bindings.StateBlock)
		}
		r.AdamW8(p, s.Codes.View(of.First, of.Len), s.CodesSq.View(of.First, of.Len),
			scale(s.CodesScale), scale(s.CodesSqScale), g, norm, lr, h)
		return
	}
	at := of.First - s.coded
	r.AdamW(p, s.ExpAvg.View(at, of.Len), s.ExpAvgSq.View(at, of.Len), g, norm, lr, h)
}

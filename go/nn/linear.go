package nn

import "github.com/graftlm/graft/bindings"

// Linear is y = x·Wᵀ + bias, with any number of adapters.
type Linear struct {
	Name     string // module path, "model.layers.0.self_attn.q_proj"
	W, Bias  *Param // Bias may be nil
	Adapters []*Adapter
}

// Adapter is a low-rank update of a linear layer (LoRA, arXiv 2106.09685):
// y += scale·drop(x)·Aᵀ·Bᵀ. With a magnitude it is DoRA; see dora.go.
type Adapter struct {
	A, B      *Param // [r, in], [out, r]
	Scale     float64
	Dropout   float64
	Site      uint32     // tells the dropout masks of layers apart
	Magnitude *Magnitude // nil: plain LoRA
	// Gate is which of Batch.Gates is the weight of the adapter for each token.
	Gate int
}

// linearState is what a layer keeps for the backward pass.
type linearState struct {
	bindings.LinearArgs
	dora *doraState // nil without a magnitude
}

// In and Out are the sizes of the layer.
func (l *Linear) In() int  { return l.W.Shape[1] }
func (l *Linear) Out() int { return l.W.Shape[0] }

// Trains reports whether a gradient of the layer's own parameters is wanted.
func (l *Linear) Trains() bool {
	for _, a := range l.Adapters {
		if a.A.Trainable || a.B.Trainable || a.Magnitude != nil && a.Magnitude.M.Trainable {
			return true
		}
	}
	return trains(l.W) || trains(l.Bias)
}

// save allocates what forward keeps for backward.
func (l *Linear) save(r Reading, tokens int, in Batch) linearState {
	s := linearState{LinearArgs: bindings.LinearArgs{W: l.W.Weight(), Bias: value(l.Bias)}}
	for _, a := range l.Adapters {
		lr := bindings.LowRank{
			A: a.A.Value, B: a.B.Value, Scale: a.Scale,
			XA: r.New(tokens, a.A.Shape[0]),
		}
		if in.Training {
			lr.Drop = bindings.Dropout{P: a.Dropout, Site: a.Site, Seed: in.Seed}
		}
		if in.Gates != nil {
			lr.Gate = in.Gates[a.Gate]
		}
		s.Adapters = append(s.Adapters, lr)
	}
	if l.dora() {
		s.dora = l.saveDoRA(r, &s, tokens, in)
	}
	return s
}

// forward computes y from x and notes x in the saved record.
func (l *Linear) forward(r Reading, s *linearState, y, x bindings.Tensor) {
	defer r.Release(r.Mark())
	s.X = x
	if s.dora != nil {
		l.forwardDoRA(r, s, y)
		return
	}
	r.Linear(y, scratch(r, s.LinearArgs, y))
}

// backward writes or adds dx, unless dx is not valid (nothing below is
// trained), and adds to the gradients of what is trainable in the layer.
func (l *Linear) backward(r Reading, s linearState, dx bindings.Tensor, how bindings.Write, dy bindings.Tensor) {
	if !dx.Valid() && !l.Trains() {
		return
	}
	defer r.Release(r.Mark())
	if s.dora != nil {
		l.backwardDoRA(r, s, dx, how, dy)
		return
	}
	if !l.Trains() {
		s.X = bindings.Tensor{}
	}
	r.LinearBackward(l.grads(dx), how, dy, scratch(r, s.LinearArgs, dy))
}

// grads are those of the layer beside dx.
func (l *Linear) grads(dx bindings.Tensor) bindings.LinearGrads {
	g := bindings.LinearGrads{DX: dx, DW: grad(l.W), DBias: grad(l.Bias)}
	for _, a := range l.Adapters {
		g.DA = append(g.DA, a.A.Grad)
		g.DB = append(g.DB, a.B.Grad)
	}
	return g
}

// scratch adds it to the arguments of a call that gives, or is given, y.
func scratch(r Reading, s bindings.LinearArgs, y bindings.Tensor) bindings.LinearArgs {
	rank, dropout := 0, false
	for _, a := range s.Adapters {
		rank += a.A.Rows()
		dropout = dropout || a.Drop.P > 0
	}
	s.Scratch = r.Scratch(r.Profile.LinearScratch(y.Rows(), s.W, rank, dropout))
	return s
}

package nn

import "github.com/graftlm/graft/bindings"

// PromptEncoder computes vectors from an embedding of its own by a small network:
// hidden layers, each followed by a function, and output layers side by side on
// the last of them. The result depends on no token, so a micro-batch computes
// it once.
type PromptEncoder struct {
	Embedding *Param // [k, d]
	Hidden    []*Linear
	Function  bindings.ActivationFunction
	Out       []*Linear
}

// promptEncoderState is what it keeps for the backward pass, and its results.
type promptEncoderState struct {
	hidden, out []linearState
	z           []bindings.Tensor // before the function of each hidden layer
	y           []bindings.Tensor // [k, out] of each output layer
}

func (e *PromptEncoder) forward(r Reading) promptEncoderState {
	k := e.Embedding.Shape[0]
	x := r.New(e.Embedding.Shape...)
	r.Cast(x, e.Embedding.Value)
	var s promptEncoderState
	layer := func(l *Linear) (bindings.Tensor, linearState) {
		y, args := r.New(k, l.Out()), l.save(r, k, Batch{})
		l.forward(r, &args, y, x)
		return y, args
	}
	for _, l := range e.Hidden {
		z, args := layer(l)
		s.z, s.hidden = append(s.z, z), append(s.hidden, args)
		x = r.Like(z)
		r.Activation(x, z, e.Function)
	}
	for _, l := range e.Out {
		y, args := layer(l)
		s.y, s.out = append(s.y, y), append(s.out, args)
	}
	return s
}

// backward adds to the gradients of the encoder from those of its results,
// which are in the type of statistics.
func (e *PromptEncoder) backward(r Reading, s promptEncoderState, dy []bindings.Tensor) {
	defer r.Release(r.Mark())
	k := e.Embedding.Shape[0]
	dx := r.New(k, e.Out[0].In())
	for i, l := range e.Out {
		mark := r.Mark()
		narrow := r.Like(dy[i])
		r.Cast(narrow, dy[i])
		l.backward(r, s.out[i], dx, bindings.Write(i > 0), narrow)
		r.Release(mark)
	}
	for i := len(e.Hidden) - 1; i >= 0; i-- {
		r.ActivationBackward(dx, dx, s.z[i], e.Function)
		below := r.New(k, e.Hidden[i].In())
		e.Hidden[i].backward(r, s.hidden[i], below, bindings.Set, dx)
		dx = below
	}
	wide := r.Stat(k, e.Embedding.Shape[1])
	r.Cast(wide, dx)
	r.Add(e.Embedding.Grad, e.Embedding.Grad, wide)
}

// Trains reports whether its parameters are trained.
func (e *PromptEncoder) Trains() bool { return e.Embedding.Trainable }

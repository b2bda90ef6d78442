package nn

import "github.com/graftlm/graft/bindings"

// Hyper are the constants of the optimizer; the learning rate is not one.
type Hyper struct {
	Beta1, Beta2, Eps, WeightDecay float64
	MaxGradNorm                    float64
}

// Report is what a step tells the host, in one tensor and one download:
// [loss, correct, grad_norm, clip factor, finite, steps applied].
type Report struct{ all bindings.Tensor }

// NewReport allocates a report. It lives in the trainable arena, for the count
// of applied steps is part of the optimizer's state.
func NewReport(m *bindings.Memory, t Types) Report {
	return Report{m.Alloc(bindings.Trainable, t.Param, 6)}
}

// Tensor is the whole report; Loss [2] and Norm [4] are its parts.
func (p Report) Tensor() bindings.Tensor { return p.all }
func (p Report) Loss() bindings.Tensor   { return p.all.View(0, 2) }
func (p Report) Norm() bindings.Tensor   { return p.all.View(2, 4) }

// Clear is the program before the first micro-batch of a step.
func Clear(r Reading, s *Params, p Report) {
	r.Zero(p.Loss())
	r.Zero(s.Grads)
}

// Micro is the program of one micro-batch of a training step.
func Micro(r Reading, o Objective, s *Params, p Report, in Batch) {
	r.Order(s.Grads, in.IDs)
	o.ForwardBackward(r, p.Loss(), in)
}

// Update is the program after the last micro-batch: it clips and applies.
// Whether the step is applied is decided on the device.
func Update(r Reading, s *Params, p Report, lr bindings.Tensor, h Hyper) {
	r.GradNorm(p.Norm(), s.Grads, p.Loss(), h.MaxGradNorm)
	for _, g := range s.Ranges {
		a := bindings.AdamWHyper{Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Eps, WeightDecay: h.WeightDecay, LRScale: 1}
		if g.NoDecay {
			a.WeightDecay = 0
		}
		if g.LRScale != 0 {
			a.LRScale = g.LRScale
		}
		part := func(t bindings.Tensor) bindings.Tensor { return t.View(g.First, g.Len) }
		s.Moments.update(r, part(s.Values), part(s.Grads), p.Norm(), lr, g, a)
	}
}

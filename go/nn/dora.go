package nn

import "github.com/graftlm/graft/bindings"

// Magnitude makes an adapter DoRA (arXiv 2402.09353): the rows of the adapted
// weight keep their direction and take lengths that are trained,
//
//	y = (m/‖W + s·B·A‖)∘(x·Wᵀ + s·x·Aᵀ·Bᵀ) + bias
//
// with the norm as a constant of the backward pass. In training dropout acts
// as in PEFT, with x' = drop(x) in all that the adapter changes:
//
//	y = (x − x')·Wᵀ + bias + (m/‖W + s·B·A‖)∘(x'·Wᵀ + s·x'·Aᵀ·Bᵀ)
type Magnitude struct {
	M *Param // [out]
	// Norm is the norms of the rows, where nothing trains: they are computed
	// once, by WeightNorms. Without it each pass computes them.
	Norm bindings.Tensor
}

// doraState is what such a layer keeps beside its linear part.
type doraState struct {
	norms   []bindings.Tensor // a layer's adapters each; not valid for plain ones
	z       bindings.Tensor   // [T, out]: of the adapted weight, before its rows are scaled
	bias    bindings.Tensor
	x       bindings.Tensor // [T, in]: the input after dropout
	dropout bindings.Dropout
}

// dora reports whether an adapter of the layer has a magnitude.
func (l *Linear) dora() bool {
	for _, a := range l.Adapters {
		if a.Magnitude != nil {
			return true
		}
	}
	return false
}

// saveDoRA takes bias and dropout out of the linear part. A layer that trains
// has one adapter; go/method sees to that.
func (l *Linear) saveDoRA(r Reading, s *linearState, tokens int, in Batch) *doraState {
	d := &doraState{z: r.New(tokens, l.Out()), bias: s.Bias}
	s.Bias = bindings.Tensor{}
	for i, a := range l.Adapters {
		var norm bindings.Tensor
		if m := a.Magnitude; m != nil {
			if norm = m.Norm; !norm.Valid() {
				norm = r.Stat(l.Out())
			}
			d.dropout = s.Adapters[i].Drop
			s.Adapters[i].Drop = bindings.Dropout{}
		}
		d.norms = append(d.norms, norm)
	}
	if d.dropout.P > 0 {
		d.x = r.New(tokens, l.In())
	}
	return d
}

func (l *Linear) forwardDoRA(r Reading, s *linearState, y bindings.Tensor) {
	d := s.dora
	for i, a := range l.Adapters {
		if m := a.Magnitude; m != nil && !m.Norm.Valid() {
			r.WeightNorm(d.norms[i], s.W, a.A.Value, a.B.Value, a.Scale)
		}
	}
	var residual bindings.Tensor
	if d.dropout.P > 0 {
		rest := r.Like(s.X)
		r.Dropout(rest, bindings.Set, s.X, d.dropout, true)
		r.Linear(y, scratch(r, bindings.LinearArgs{X: rest, W: s.W}, y))
		r.Dropout(d.x, bindings.Set, s.X, d.dropout, false)
		s.X, residual = d.x, y
	}
	r.Linear(d.z, scratch(r, s.LinearArgs, y))
	z, last := d.z, l.lastMagnitude()
	for i, a := range l.Adapters {
		if a.Magnitude == nil {
			continue
		}
		args := l.magnitude(s, i, z)
		if args.Residual = residual; i == last {
			args.Bias = d.bias
		}
		r.Magnitude(y, args)
		z = y
	}
}

func (l *Linear) lastMagnitude() (last int) {
	for i, a := range l.Adapters {
		if a.Magnitude != nil {
			last = i
		}
	}
	return last
}

func (l *Linear) magnitude(s *linearState, i int, z bindings.Tensor) bindings.MagnitudeArgs {
	return bindings.MagnitudeArgs{Z: z, M: l.Adapters[i].Magnitude.M.Value, Norm: s.dora.norms[i], Gate: s.Adapters[i].Gate}
}

func (l *Linear) backwardDoRA(r Reading, s linearState, dx bindings.Tensor, how bindings.Write, dy bindings.Tensor) {
	d, g := s.dora, l.grads(dx)
	dz := r.Like(d.z)
	r.MagnitudeBackward(dz, l.Adapters[0].Magnitude.M.Grad, dy, l.magnitude(&s, 0, d.z))
	if d.dropout.P == 0 {
		r.LinearBackward(g, how, dz, scratch(r, s.LinearArgs, dz))
		return
	}
	if dx.Valid() {
		g.DX = r.Like(dx)
	}
	r.LinearBackward(g, bindings.Set, dz, scratch(r, s.LinearArgs, dz))
	if !dx.Valid() {
		return
	}
	rest := r.Like(dx)
	r.LinearBackward(bindings.LinearGrads{DX: rest}, bindings.Set, dy, scratch(r, bindings.LinearArgs{W: s.W}, dy))
	r.Dropout(dx, how, g.DX, d.dropout, false)
	r.Dropout(dx, bindings.Accumulate, rest, d.dropout, true)
}

// magnitudes calls do for each adapter that has one.
func magnitudes(layers []*Linear, do func(l *Linear, a *Adapter)) {
	for _, l := range layers {
		for _, a := range l.Adapters {
			if a.Magnitude != nil {
				do(l, a)
			}
		}
	}
}

// HasMagnitudes reports whether any adapter has one.
func HasMagnitudes(layers []*Linear) (has bool) {
	magnitudes(layers, func(*Linear, *Adapter) { has = true })
	return has
}

// InitMagnitudes is the program before the first step: it gives each magnitude
// the norms of its rows, so that the model starts as it is without it.
func InitMagnitudes(r Reading, layers []*Linear) {
	magnitudes(layers, func(l *Linear, a *Adapter) {
		r.WeightNorm(a.Magnitude.M.Value, l.W.Weight(), a.A.Value, a.B.Value, a.Scale)
	})
}

// PlaceNorms gives the norms a place of their own, for generation.
func PlaceNorms(m *bindings.Memory, t Types, layers []*Linear) {
	magnitudes(layers, func(l *Linear, a *Adapter) { a.Magnitude.Norm = m.Alloc(bindings.Trainable, t.Param, l.Out()) })
}

// WeightNorms is the program that computes them, after each change of adapters.
func WeightNorms(r Reading, layers []*Linear) {
	magnitudes(layers, func(l *Linear, a *Adapter) {
		r.WeightNorm(a.Magnitude.Norm, l.W.Weight(), a.A.Value, a.B.Value, a.Scale)
	})
}

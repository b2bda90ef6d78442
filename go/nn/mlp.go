package nn

import "github.com/graftlm/graft/bindings"

// MLP is the gated feed-forward layer down(silu(gate(x))·up(x)) (arXiv
// 2002.05202).
type MLP struct{ Gate, Up, Down *Linear }

// mlpState is what it keeps for the backward pass.
type mlpState struct {
	gate, up          bindings.Tensor
	act               bindings.Tensor // kept only if the down projection trains
	lgate, lup, ldown linearState
}

func (m *MLP) save(r Reading, tokens int, in Batch) mlpState {
	n := m.Gate.Out()
	return mlpState{
		gate: r.New(tokens, n), up: r.New(tokens, n),
		act:   r.kept(in.Training && m.Down.Trains(), tokens, n),
		lgate: m.Gate.save(r, tokens, in), lup: m.Up.save(r, tokens, in), ldown: m.Down.save(r, tokens, in),
	}
}

func (m *MLP) forward(r Reading, s *mlpState, y, x bindings.Tensor) {
	defer r.Release(r.Mark())
	m.Gate.forward(r, &s.lgate, s.gate, x)
	m.Up.forward(r, &s.lup, s.up, x)
	act := r.temporary(s.act, s.gate.Shape.Dims()...)
	r.SwiGLU(act, s.gate, s.up)
	m.Down.forward(r, &s.ldown, y, act)
}

// again is forward where only what it keeps is wanted: what an adapter of the
// down projection keeps comes with its product, which goes to temporary then.
func (m *MLP) again(r Reading, s *mlpState, temporary, x bindings.Tensor) {
	if len(m.Down.Adapters) > 0 {
		m.forward(r, s, temporary, x)
		return
	}
	m.Gate.forward(r, &s.lgate, s.gate, x)
	m.Up.forward(r, &s.lup, s.up, x)
	if s.act.Valid() {
		r.SwiGLU(s.act, s.gate, s.up)
		s.ldown.X = s.act
	}
}

// backward writes dx, unless it is not valid. It overwrites what was saved.
func (m *MLP) backward(r Reading, s mlpState, dx, dy bindings.Tensor) {
	defer r.Release(r.Mark())
	mark := r.Mark()
	dact := r.Like(s.gate)
	m.Down.backward(r, s.ldown, dact, bindings.Set, dy)
	if !dx.Valid() && !m.Gate.Trains() && !m.Up.Trains() {
		return
	}
	r.SwiGLUBackward(s.gate, s.up, dact, s.gate, s.up)
	r.Release(mark)
	m.Gate.backward(r, s.lgate, dx, bindings.Set, s.gate)
	m.Up.backward(r, s.lup, dx, bindings.Accumulate, s.up)
}

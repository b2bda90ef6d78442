package train

import (
	"fmt"

	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/finite"
)

// A run that is evaluated judges itself by the held-out loss: it keeps its best
// step, may stop when nothing better comes, and says when it overfits. All of
// it is a function of the state, so a resumed run judges alike.

// window is the training loss between two evaluations.
type window struct {
	sum  float64
	n    int
	last float64 // mean of the one before; 0: none
	eval float64 // held-out loss at its end
}

func (w *window) add(loss float64) { w.sum, w.n = w.sum+loss, w.n+1 }

// overfits closes the window with an evaluation, and reports whether held-out
// loss rose while training loss fell.
func (w *window) overfits(eval float64) (before, now window, yes bool) {
	before, now = *w, window{last: w.sum / float64(max(w.n, 1)), eval: eval}
	*w = now
	return before, now, before.last > 0 && eval > before.eval && now.last < before.last
}

// judge takes in the held-out loss after a step, and reports whether it is the
// best so far. One that is not finite is told of, and never the best.
func (l *loop) judge(eval float64) (best bool) {
	if !finite.Is(eval) {
		l.on(Event{Message: notFinite(fmt.Sprintf("after step %d", l.state.Step), eval)})
		return false
	}
	if before, now, yes := l.window.overfits(eval); yes {
		l.on(Event{Message: fmt.Sprintf("held-out loss rose from %.4f to %.4f while training loss fell from %.4f to %.4f: the run begins to learn its records by heart; more data, fewer epochs or a lower learning_rate help",
			before.eval, eval, before.last, now.last)})
	}
	if l.state.BestStep != 0 && eval >= l.state.Best {
		return false
	}
	l.state.Best, l.state.BestStep = eval, l.state.Step
	return true
}

// notFinite says what an evaluation loss that is no number means.
func notFinite(when string, loss float64) string {
	return fmt.Sprintf("the evaluation loss %s is %v: a number overflows on the held-out records; look at those of data.eval, lower optim.learning_rate, or compute in another model.dtype", when, loss)
}

// exhausted reports whether the evaluations since the best one are as many as
// the run has patience for.
func (r *Run) exhausted(st *checkpoint.State) bool {
	return r.Patience > 0 && r.EvalEvery > 0 && st.BestStep > 0 && st.Step-st.BestStep >= r.Patience*r.EvalEvery
}

// restoreBest puts the parameters of the best step back.
func (l *loop) restoreBest() error {
	if !l.LoadBest || l.state.BestStep == 0 || l.state.BestStep == l.state.Step {
		return nil
	}
	st, err := checkpoint.Read(l.store.Path(l.state.BestStep))
	if err != nil {
		return failure.As(failure.ErrData, fmt.Errorf("the best step, %d, cannot be restored (checkpoint.load_best: false writes the last one instead): %w", l.state.BestStep, err))
	}
	if err := l.Engine.restore(st); err != nil {
		return err
	}
	l.state.Sums.EvalAfter = optional(l.state.Best)
	l.on(Event{Message: fmt.Sprintf("restored step %d, whose evaluation loss %.4f is the lowest", l.state.BestStep, l.state.Best)})
	return nil
}

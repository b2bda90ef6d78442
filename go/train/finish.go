package train

import (
	"encoding/json"
	"path/filepath"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/finite"
)

// resultFile has the Result of a run that ended.
const resultFile = "result.json"

// preempt saves and says how to go on.
func (l *loop) preempt() error {
	if err := l.save(false); err != nil {
		return err
	}
	return failure.Preempted("stopped after step %d of %d, checkpoint saved in %s; run the same command with --resume auto to go on", l.state.Step, l.Batches.Steps(), l.store.Dir)
}

func (l *loop) save(final bool) error {
	if err := l.log.Sync(); err != nil {
		return err
	}
	l.state.Final = final
	l.state.Sums.Planned, l.state.Sums.Used = l.Engine.Planned(), l.used()
	if err := l.Engine.capture(&l.state); err != nil {
		return err
	}
	_, err := l.store.Save(&l.state, nil)
	l.saved = l.state.Step
	return err
}

// used is the peak of each arena over all starts of the run. A start under
// another plan, as on another device, counts by itself.
func (l *loop) used() bindings.Plan {
	used := l.Engine.Used()
	if l.state.Sums.Planned == l.Engine.Planned() {
		for s, n := range l.state.Sums.Used {
			used[s] = max(used[s], n)
		}
	}
	return used
}

// write puts what was trained in its place; what an earlier run left there stays
// until it is whole.
func (l *loop) write() error {
	if err := l.restoreBest(); err != nil {
		return err
	}
	return atomicfs.ReplaceDir(l.output(), func(d *atomicfs.Dir) error {
		if err := l.Method.Save(d, l.Engine.Model, l.Engine.finite); err != nil {
			return err
		}
		if l.Extra != nil {
			return l.Extra(d)
		}
		return nil
	})
}

// report writes the result. A start that took no step has none of its own.
func (l *loop) report() (Result, error) {
	if done := l.written(); l.ended && done != nil {
		return *done, nil
	}
	r := l.outcome()
	r.Output = l.output()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return r, err
	}
	return r, atomicfs.WriteFile(filepath.Join(l.Dir, resultFile), append(text, '\n'))
}

// outcome is the result so far.
func (l *loop) outcome() Result {
	s := l.state.Sums
	r := Result{
		Steps: l.state.Step, Loss: float64(s.Loss), BestStep: l.state.BestStep, Tokens: s.Tokens, Seconds: s.Seconds,
		EvalBefore: (*float64)(l.state.EvalBefore), EvalAfter: (*float64)(s.EvalAfter), Evaluation: l.evaluation,
		Skipped: len(l.state.Skipped), Planned: l.Engine.Planned(), Used: l.used(),
	}
	if r.Evaluation == nil && s.Evaluation != nil {
		r.Evaluation = s.Evaluation
	}
	if r.Seconds > 0 {
		r.TokensPerSec = float64(r.Tokens) / r.Seconds
	}
	return r
}

// optional is a number that there is, though it may not be finite.
func optional(f float64) *finite.Number {
	n := finite.Number(f)
	return &n
}

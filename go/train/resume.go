package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/failure"
)

// Finished looks at the state that a resume begins with, before anything is
// opened or written. It gives the result of a run that has no step left and
// whose output is there, nil if there is something to do, and fails where the
// checkpoint is of another run.
func (r *Run) Finished() (*Result, error) {
	st, err := r.head()
	if err != nil || st == nil {
		return nil, err
	}
	if err := r.fits(st); err != nil {
		return nil, err
	}
	if !st.Final || !r.complete(st) {
		return nil, nil
	}
	if _, err := os.Stat(r.output()); err != nil {
		return nil, nil
	}
	return r.written(), nil
}

// NothingToDo says of a finished run that it is.
func (r *Run) NothingToDo(done Result) string {
	early := ""
	if done.Steps < r.Batches.Steps() {
		early = ", where it stopped early"
	}
	return fmt.Sprintf("already at step %d/%d%s; nothing to do", done.Steps, r.Batches.Steps(), early)
}

// head is the state that a resume begins with, without its tensors.
func (r *Run) head() (*checkpoint.State, error) {
	if r.From != "" {
		return checkpoint.ReadHead(r.From)
	}
	return (&checkpoint.Store{Dir: r.checkpoints()}).Newest()
}

func (r *Run) checkpoints() string { return filepath.Join(r.Dir, "checkpoints") }
func (r *Run) output() string      { return filepath.Join(r.Dir, r.Method.Output()) }

// written is the result that an earlier start left; nil: none.
func (r *Run) written() *Result {
	var done Result
	text, err := os.ReadFile(filepath.Join(r.Dir, resultFile))
	if err != nil || json.Unmarshal(text, &done) != nil {
		return nil
	}
	return &done
}

// fits refuses the checkpoint of another run.
func (r *Run) fits(st *checkpoint.State) error {
	if all := st.Differs(r.Identity, r.Settings); len(all) > 0 {
		from := r.From
		if from == "" {
			from = r.checkpoints()
		}
		return failure.Config("%s was made with %s; resume with what it was made with, or choose another train.output_dir", from, strings.Join(all, "; "))
	}
	if st.Step > r.Batches.Steps() {
		return failure.Data("the checkpoint is at step %d, beyond the %d steps of this run", st.Step, r.Batches.Steps())
	}
	return nil
}

// complete reports whether a state has no step left.
func (r *Run) complete(st *checkpoint.State) bool {
	return st.Step >= r.Batches.Steps() || r.exhausted(st)
}

// resume takes the run up where a checkpoint left it.
func (l *loop) resume() error {
	st, err := l.start()
	if err != nil || st == nil {
		return err
	}
	if err := l.fits(st); err != nil {
		return err
	}
	if err := l.Engine.restore(st); err != nil {
		return err
	}
	l.state, l.saved, l.began = *st, st.Step, st.Step
	if l.ended = st.Final && l.complete(st); !l.ended {
		l.on(Event{Message: fmt.Sprintf("resuming after step %d of %d", st.Step, l.Batches.Steps())})
	} else {
		l.on(Event{Message: fmt.Sprintf("already at step %d/%d; writing %s from the checkpoint", st.Step, l.Batches.Steps(), l.output())})
	}
	return nil
}

// start reads the checkpoint to begin with; nil: none.
func (l *loop) start() (*checkpoint.State, error) {
	if l.From == "" {
		st, warnings, err := l.store.Latest()
		for _, w := range warnings {
			l.on(Event{Message: w})
		}
		return st, err
	}
	st, err := checkpoint.Read(l.From)
	if err != nil {
		return nil, err
	}
	return st, l.fetchBest(st)
}

// fetchBest brings the best step, which lies beside the checkpoint that is named,
// to the checkpoints of this run.
func (l *loop) fetchBest(st *checkpoint.State) error {
	own := l.store.Path(st.BestStep)
	if st.BestStep == 0 || st.BestStep == st.Step {
		return nil
	}
	if _, err := os.Stat(own); err == nil {
		return nil
	}
	best, err := checkpoint.Read(filepath.Join(filepath.Dir(l.From), filepath.Base(own)))
	if err != nil {
		l.on(Event{Message: fmt.Sprintf("the best step, %d, is not beside %s, and does not count: %v", st.BestStep, l.From, err)})
		st.BestStep, st.Best = 0, 0
		return nil
	}
	_, err = l.store.Save(best, nil)
	return err
}

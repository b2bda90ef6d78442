package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/optim"
)

// Batches is the training data in the order of the run: a pure function of the
// step, so that resuming needs no state.
type Batches interface {
	Steps() int                            // of the whole run
	Epoch(step int) float64                // epochs done before a step
	Step(i int) ([]data.MicroBatch, error) // filled to their buckets
}

// Run is one training run.
type Run struct {
	Engine   *Engine
	Method   method.Method
	Batches  Batches
	Eval     []data.MicroBatch     // may be empty
	Measure  func() method.Measure // begins an evaluation; it, or what it gives, may be nil
	Schedule optim.Schedule

	Dir        string // output_dir
	From       string // the checkpoint that a resume starts from; "": the newest of Dir
	Identity   map[string]string
	Settings   map[string]string // behind Identity's configuration, to name what differs
	EvalEvery  int               // steps; 0: at the end only
	SaveEvery  int               // steps; 0: at the end only
	Keep       int
	LogEvery   int  // steps between records; 0 or 1: each
	JSONL      bool // metrics.jsonl
	Board      bool // TensorBoard event files
	LoadBest   bool // what is written at the end is the step of the lowest evaluation loss
	Patience   int  // evaluations without a better loss after which to stop; 0: never
	MaxSkipped int  // steps that may be skipped in any 100 before the run gives up
	// Extra writes further files beside what was trained: those of a tokenizer,
	// or of a base.
	Extra func(*atomicfs.Dir) error
}

// Start trains to the end. With resume it continues from From, or from the newest
// checkpoint that verifies, if there is one. on is told of every step; it may be nil.
func (r *Run) Start(ctx context.Context, resume bool, on func(Event)) (Result, error) {
	if on == nil {
		on = func(Event) {}
	}
	store, err := checkpoint.Open(filepath.Join(r.Dir, "checkpoints"), r.Keep)
	if err != nil {
		return Result{}, err
	}
	l := &loop{Run: r, store: store, on: on}
	if resume {
		if err := l.resume(); err != nil {
			return Result{}, err
		}
	}
	l.state.Identity, l.state.Settings = r.Identity, r.Settings
	if l.log, err = openMetrics(r.Dir, l.state.Step); err != nil {
		return Result{}, err
	}
	defer l.log.Close()
	if r.Board && !l.ended {
		if l.board, err = openBoard(r.Dir, time.Now); err != nil {
			return Result{}, err
		}
		defer l.board.Close()
	}
	return l.run(ctx)
}

// loop is a run under way.
type loop struct {
	*Run
	store  *checkpoint.Store
	on     func(Event)
	log    *metrics
	board  *board // nil: none
	state  checkpoint.State
	window window
	saved  int     // step of the newest checkpoint
	began  int     // step at which this start of the run began
	spent  float64 // seconds of its steps
	ended  bool    // it began where all was done, and only writes anew what is not there
	// evaluation is the last one as the method gave it; a resumed run has that of
	// the checkpoint.
	evaluation any
}

func (l *loop) run(ctx context.Context) (Result, error) {
	err := l.train(ctx)
	if err == nil {
		err = l.write()
	}
	if err != nil {
		return l.outcome(), err
	}
	return l.report()
}

// train takes the steps that are left, and keeps the last state.
func (l *loop) train(ctx context.Context) error {
	if len(l.Eval) > 0 && l.state.Step == 0 && l.state.EvalBefore == nil {
		v, err := l.evaluate(ctx)
		if err != nil {
			return l.interrupted(ctx, err, nil)
		}
		l.state.EvalBefore = optional(v.Loss)
		said := fmt.Sprintf("evaluation loss before training: %.4f", v.Loss)
		if !finite.Is(v.Loss) {
			said = notFinite("before training", v.Loss)
		}
		l.on(Event{Message: said})
	}
	if l.state.Pending != nil { // the newest step waits for its evaluation
		var e Event
		if err := json.Unmarshal(l.state.Pending, &e); err != nil {
			return failure.Data("the pending record of the checkpoint of step %d: %w", l.state.Step, err)
		}
		if err := l.settle(ctx, e); err != nil {
			return err
		}
	}
	for !l.complete(&l.state) {
		if ctx.Err() != nil {
			return l.preempt()
		}
		e, err := l.step()
		if err != nil {
			return err
		}
		if err := l.settle(ctx, e); err != nil {
			return err
		}
	}
	if total := l.Batches.Steps(); l.state.Step < total {
		l.on(Event{Message: fmt.Sprintf("stopped early after step %d: the evaluation loss was lowest at step %d", l.state.Step, l.state.BestStep)})
	}
	return l.save(true)
}

// settle evaluates after a step, where that is due, and records the step.
func (l *loop) settle(ctx context.Context, e Event) error {
	done, total, best := e.Step, l.Batches.Steps(), false
	if finite.Is(e.Loss) {
		l.window.add(e.Loss)
	}
	if len(l.Eval) > 0 && (done == total || l.EvalEvery > 0 && done%l.EvalEvery == 0) {
		v, err := l.evaluate(ctx)
		if err != nil {
			return l.interrupted(ctx, err, &e)
		}
		e.EvalLoss, e.EvalAccuracy, e.EvalMeasures = &v.Loss, &v.Accuracy, v.Measures
		if l.state.Sums.EvalAfter = optional(v.Loss); v.Evaluation != nil {
			if l.state.Sums.Evaluation, err = json.Marshal(v.Evaluation); err != nil {
				return err
			}
			l.evaluation = v.Evaluation
		}
		best = l.judge(v.Loss)
	}
	l.state.Pending = nil
	l.measure(&e)
	if err := l.record(e); err != nil {
		return err
	}
	l.on(e)
	if (best && l.LoadBest || l.SaveEvery > 0 && done%l.SaveEvery == 0) && done < total {
		return l.save(false)
	}
	return nil
}

// interrupted keeps a run whose evaluation was stopped on request; the step
// before it, if there is one, waits for its evaluation.
func (l *loop) interrupted(ctx context.Context, err error, e *Event) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if e != nil {
		if l.state.Pending, err = json.Marshal(e); err != nil {
			return err
		}
	}
	return l.preempt()
}

func (l *loop) evaluate(ctx context.Context) (Report, error) {
	var m method.Measure
	if l.Measure != nil {
		m = l.Measure()
	}
	return l.Engine.EvaluateBy(ctx, m, l.Eval)
}

// measure adds what is known of the run to the record of a step.
func (l *loop) measure(e *Event) {
	left := float64(l.Batches.Steps() - l.state.Step)
	e.TotalSteps = l.Batches.Steps()
	if steps := l.state.Step - l.began; steps > 0 {
		e.Left = time.Duration(l.spent / float64(steps) * left * float64(time.Second))
	}
	e.Planned, e.Used = l.Engine.Planned().Total(), l.used().Total()
}

// record writes what a step told, where it is wanted.
func (l *loop) record(e Event) error {
	if l.LogEvery > 1 && e.Step%l.LogEvery != 0 && e.EvalLoss == nil && e.Step != e.TotalSteps && !e.Skipped {
		return nil
	}
	if l.JSONL {
		if err := l.log.Write(e); err != nil {
			return err
		}
	}
	if l.board == nil {
		return nil
	}
	return l.board.Write(e)
}

// step runs one optimizer step.
func (l *loop) step() (Event, error) {
	i := l.state.Step
	batches, err := l.Batches.Step(i)
	if err != nil {
		return Event{}, fmt.Errorf("step %d: %w", i+1, err)
	}
	lr := l.Schedule.At(i)
	began := time.Now()
	rep, err := l.Engine.Step(i, lr, batches)
	if err != nil {
		return Event{}, fmt.Errorf("step %d: %w", i+1, err)
	}
	seconds := time.Since(began).Seconds()
	l.state.Step++
	e := Event{
		Step: i + 1, Epoch: l.Batches.Epoch(i + 1), Loss: rep.Loss, GradNorm: rep.GradNorm, LR: lr,
		Seconds: seconds, Skipped: !rep.Finite,
	}
	for _, b := range batches {
		e.Tokens += b.Tokens
		e.TargetTokens += int(targetCount([]data.MicroBatch{b}))
	}
	e.TokensPerSec = float64(e.Tokens) / seconds
	sums := &l.state.Sums
	sums.Tokens, sums.Seconds, sums.Loss = sums.Tokens+e.Tokens, sums.Seconds+seconds, finite.Number(rep.Loss)
	l.spent += seconds
	if !rep.Finite {
		return e, l.skipped(e)
	}
	return e, nil
}

// skipped notes a step that was not applied, and gives up when there are too
// many.
func (l *loop) skipped(e Event) error {
	l.state.Skipped = append(l.state.Skipped, e.Step)
	recent := 0
	for _, s := range l.state.Skipped {
		if s > e.Step-100 {
			recent++
		}
	}
	l.on(Event{Message: fmt.Sprintf("step %d was skipped: loss %v, grad_norm %v", e.Step, e.Loss, e.GradNorm)})
	if recent > l.MaxSkipped {
		return failure.Diverged("%d of the last 100 steps had a loss or gradient that is not finite (train.max_skipped is %d); the newest checkpoint is step %d. Lower optim.learning_rate, or look at the data of step %d", recent, l.MaxSkipped, l.saved, e.Step)
	}
	return nil
}

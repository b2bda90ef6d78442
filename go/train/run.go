package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/optim"
	"github.com/graftlm/graft/go/safetensors"
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
	Identity   map[string]string
	EvalEvery  int // steps; 0: at the end only
	SaveEvery  int // steps; 0: at the end only
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

// Event is told after each step, and after each evaluation.
type Event struct {
	Step         int                `json:"step"` // steps done
	Epoch        float64            `json:"epoch"`
	Loss         float64            `json:"loss"`
	GradNorm     float64            `json:"grad_norm"`
	LR           float64            `json:"lr"`
	Tokens       int                `json:"tokens"`        // of the step, real ones
	TargetTokens int                `json:"target_tokens"` //
	TokensPerSec float64            `json:"tokens_per_second"`
	Seconds      float64            `json:"seconds"` // of the step
	Skipped      bool               `json:"skipped"`
	EvalLoss     *float64           `json:"eval_loss,omitempty"`
	EvalAccuracy *float64           `json:"eval_accuracy,omitempty"`
	EvalMeasures map[string]float64 `json:"eval_measures,omitempty"` // the method's own

	TotalSteps int           `json:"-"`
	Left       time.Duration `json:"-"` // estimate
	Message    string        `json:"-"` // a warning or a note instead of numbers
}

// Result is what a finished run has to say.
type Result struct {
	Steps        int           `json:"steps"`
	Loss         float64       `json:"loss"` // of the last step
	EvalBefore   *float64      `json:"eval_loss_before,omitempty"`
	EvalAfter    *float64      `json:"eval_loss_after,omitempty"`
	BestStep     int           `json:"best_step,omitempty"`  // of the lowest evaluation loss
	Evaluation   any           `json:"evaluation,omitempty"` // the last one, by the method's own measures
	Tokens       int           `json:"tokens"`
	Seconds      float64       `json:"seconds"`
	TokensPerSec float64       `json:"tokens_per_second"`
	Skipped      int           `json:"skipped"`
	Planned      bindings.Plan `json:"planned_bytes"`
	Used         bindings.Plan `json:"used_bytes"`
	Output       string        `json:"output"` // the adapter or model directory
}

// Start trains to the end. With resume it continues from the newest checkpoint
// that verifies, if there is one. on is told of every step; it may be nil.
func (r *Run) Start(ctx context.Context, resume bool, on func(Event)) (Result, error) {
	if on == nil {
		on = func(Event) {}
	}
	store, err := checkpoint.Open(filepath.Join(r.Dir, "checkpoints"), r.Keep)
	if err != nil {
		return Result{}, err
	}
	l := &loop{Run: r, store: store, on: on, state: checkpoint.State{Identity: r.Identity}}
	if resume {
		if err := l.resume(); err != nil {
			return Result{}, err
		}
	}
	if l.log, err = openMetrics(r.Dir, l.state.Step); err != nil {
		return Result{}, err
	}
	defer l.log.Close()
	if r.Board {
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
	result Result
	window window
	saved  int // step of the newest checkpoint
	began  int // step at which this start of the run began
}

func (l *loop) resume() error {
	st, warnings, err := l.store.Latest()
	if err != nil {
		return err
	}
	for _, w := range warnings {
		l.on(Event{Message: w})
	}
	if st == nil {
		return nil
	}
	if keys := st.Differs(l.Identity); len(keys) > 0 {
		return failure.Config("%s was made with another %s; resume with what it was made with, or choose another train.output_dir", l.store.Dir, strings.Join(keys, ", "))
	}
	if st.Step > l.Batches.Steps() {
		return failure.Data("the checkpoint is at step %d, beyond the %d steps of this run", st.Step, l.Batches.Steps())
	}
	if err := l.Engine.restore(st); err != nil {
		return err
	}
	l.state, l.saved, l.began = *st, st.Step, st.Step
	l.on(Event{Message: fmt.Sprintf("resuming after step %d of %d", st.Step, l.Batches.Steps())})
	return nil
}

func (l *loop) run(ctx context.Context) (Result, error) {
	total := l.Batches.Steps()
	l.result.EvalBefore = l.state.EvalBefore
	if len(l.Eval) > 0 && l.state.Step == 0 {
		e, err := l.evaluate()
		if err != nil {
			return l.result, err
		}
		l.result.EvalBefore, l.state.EvalBefore = &e.Loss, &e.Loss
		l.on(Event{Message: fmt.Sprintf("evaluation loss before training: %.4f", e.Loss)})
	}
	for l.state.Step < total && !l.exhausted() {
		if ctx.Err() != nil {
			return l.result, l.preempt()
		}
		e, err := l.step(total)
		if err != nil {
			return l.result, err
		}
		done, best := l.state.Step, false
		l.window.add(e.Loss)
		if len(l.Eval) > 0 && (done == total || l.EvalEvery > 0 && done%l.EvalEvery == 0) {
			v, err := l.evaluate()
			if err != nil {
				return l.result, err
			}
			e.EvalLoss, e.EvalAccuracy, e.EvalMeasures = &v.Loss, &v.Accuracy, v.Measures
			l.result.Evaluation = v.Evaluation
			l.result.EvalAfter = &v.Loss
			best = l.judge(v.Loss)
		}
		if err := l.record(e); err != nil {
			return l.result, err
		}
		l.on(e)
		if (best && l.LoadBest || l.SaveEvery > 0 && done%l.SaveEvery == 0) && done < total {
			if err := l.save(false); err != nil {
				return l.result, err
			}
		}
	}
	if l.state.Step < total {
		l.on(Event{Message: fmt.Sprintf("stopped early after step %d: the evaluation loss was lowest at step %d", l.state.Step, l.state.BestStep)})
	}
	if err := l.save(true); err != nil {
		return l.result, err
	}
	return l.finish()
}

func (l *loop) evaluate() (Report, error) {
	var m method.Measure
	if l.Measure != nil {
		m = l.Measure()
	}
	return l.Engine.EvaluateBy(m, l.Eval)
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
func (l *loop) step(total int) (Event, error) {
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
		Seconds: seconds, Skipped: !rep.Finite, TotalSteps: total,
	}
	for _, b := range batches {
		e.Tokens += b.Tokens
		e.TargetTokens += int(targetCount([]data.MicroBatch{b}))
	}
	e.TokensPerSec = float64(e.Tokens) / seconds
	l.result.Tokens += e.Tokens
	l.result.Seconds += seconds
	e.Left = time.Duration(l.result.Seconds / float64(l.state.Step-l.began) * float64(total-l.state.Step) * float64(time.Second))
	l.result.Loss = rep.Loss
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
	if err := l.Engine.capture(&l.state); err != nil {
		return err
	}
	_, err := l.store.Save(&l.state, nil)
	l.saved = l.state.Step
	return err
}

// finish writes what was trained.
func (l *loop) finish() (Result, error) {
	if err := l.restoreBest(); err != nil {
		return l.result, err
	}
	out := filepath.Join(l.Dir, l.Method.Output())
	if err := os.RemoveAll(out); err != nil {
		return l.result, failure.IO("%w", err)
	}
	err := atomicfs.WriteDir(out, func(d *atomicfs.Dir) error {
		if err := l.Method.Save(d, l.Engine.Model, l.Engine.finite); err != nil {
			return err
		}
		if l.Extra != nil {
			return l.Extra(d)
		}
		return nil
	})
	if err != nil {
		return l.result, err
	}
	l.result.Steps, l.result.BestStep, l.result.Output = l.state.Step, l.state.BestStep, out
	l.result.Skipped = len(l.state.Skipped)
	if l.result.Seconds > 0 {
		l.result.TokensPerSec = float64(l.result.Tokens) / l.result.Seconds
	}
	l.result.Planned, l.result.Used = l.Engine.Planned(), l.Engine.Used()
	text, err := json.MarshalIndent(l.result, "", " ")
	if err != nil {
		return l.result, err
	}
	return l.result, atomicfs.WriteFile(filepath.Join(l.Dir, "result.json"), append(text, '\n'))
}

// capture downloads the state of a run; restore uploads it.
func (e *Engine) capture(st *checkpoint.State) error {
	s := e.Model.Params
	st.Params = st.Params[:0]
	for _, p := range s.Trainable() {
		st.Params = append(st.Params, checkpoint.Param{Name: p.Name, Shape: p.Shape})
	}
	var err error
	if st.Values, err = model.Download(e.dev, s.Values); err != nil {
		return err
	}
	if st.Report, err = model.Download(e.dev, e.Placed.Report.Tensor()); err != nil {
		return err
	}
	st.Moments = nil
	for _, t := range s.Moments.Tensors() {
		x := safetensors.Tensor{Name: t.Name, DType: safetensors.U8, Shape: []int{t.Tensor.Len()}, Data: make([]byte, t.Tensor.Bytes())}
		if err := e.dev.Download(x.Data, t.Tensor); err != nil {
			return err
		}
		if t.Tensor.DType.Float() {
			x.DType, x.Data = safetensors.F32, bindings.Encode(bindings.F32, bindings.Decode(t.Tensor.DType, x.Data))
		}
		st.Moments = append(st.Moments, x)
	}
	for i, v := range st.Values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return failure.Diverged("trained value %d is %v; nothing was written over the last good checkpoint", i, v)
		}
	}
	return nil
}

func (e *Engine) restore(st *checkpoint.State) error {
	s := e.Model.Params
	params := s.Trainable()
	if len(params) != len(st.Params) {
		return failure.Data("the checkpoint has %d trainable parameters, this run %d", len(st.Params), len(params))
	}
	for i, p := range params {
		if p.Name != st.Params[i].Name || fmt.Sprint(p.Shape) != fmt.Sprint(st.Params[i].Shape) {
			return failure.Data("the checkpoint has %s %v where this run has %s %v", st.Params[i].Name, st.Params[i].Shape, p.Name, p.Shape)
		}
	}
	for _, x := range []struct {
		to   bindings.Tensor
		from []float32
	}{{s.Values, st.Values}, {e.Placed.Report.Tensor(), st.Report}} {
		if x.to.Len() != len(x.from) {
			return failure.Data("a buffer of the checkpoint has %d elements, want %d", len(x.from), x.to.Len())
		}
		if err := model.Upload(e.dev, x.to, x.from); err != nil {
			return err
		}
	}
	saved := map[string]safetensors.Tensor{}
	for _, t := range st.Moments {
		saved[t.Name] = t
	}
	for _, t := range s.Moments.Tensors() {
		x, want := saved[t.Name], safetensors.U8
		if t.Tensor.DType.Float() {
			want = safetensors.F32
		}
		if x.DType != want || len(x.Data) != want.Size()*t.Tensor.Len() {
			return failure.Data("%s of the checkpoint has type %q and %d bytes, want %s and %d elements: it is of another optim.state", t.Name, x.DType, len(x.Data), want, t.Tensor.Len())
		}
		if want == safetensors.F32 {
			x.Data = bindings.Encode(t.Tensor.DType, bindings.Decode(bindings.F32, x.Data))
		}
		if err := e.dev.Upload(t.Tensor, x.Data); err != nil {
			return err
		}
		delete(saved, t.Name)
	}
	for name := range saved {
		return failure.Data("the checkpoint has %s, for which this run has no place: it is of another optim.state", name)
	}
	return nil
}

// finite gives the values of a parameter, and refuses what is not finite.
func (e *Engine) finite(name string) ([]float32, error) {
	v, err := e.Values(name)
	for i, x := range v {
		if x-x != 0 {
			return nil, failure.Diverged("%s has %v at element %d; it is not written", name, x, i)
		}
	}
	return v, err
}

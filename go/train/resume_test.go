package train_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/optim"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/train"
	"github.com/graftlm/graft/tests/tree"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// uneven is a run whose micro-batches are alike but for the one of a step, which
// is twice as large.
type uneven struct{ steps, largeAt int }

func (u uneven) Steps() int             { return u.steps }
func (u uneven) Epoch(step int) float64 { return float64(step) }
func (u uneven) Step(i int) ([]data.MicroBatch, error) {
	if i == u.largeAt {
		return []data.MicroBatch{u.large()}, nil
	}
	return []data.MicroBatch{batch(1, 53)}, nil
}
func (uneven) large() data.MicroBatch {
	return data.Flatten(append(documents(3, 53), documents(4, 53)...))
}

func bucket(b data.MicroBatch) nn.Bucket {
	return nn.Bucket{Tokens: len(b.IDs), Sequences: len(b.Cu) - 1, Targets: len(b.Rows)}
}

// short is a run of a few steps, the same each time it is made.
func short(t *testing.T, dir string, batches uneven, change func(*train.Run)) *train.Run {
	t.Helper()
	m := methods["lora"]
	e := openJob(t, reference.New(reference.Float32), nn.Float32, configs["llama"], m, batchFor, func(j *plan.Job) {
		j.Train = []nn.Bucket{bucket(batches.large()), bucket(batch(1, 53))}
	})
	r := &train.Run{
		Engine: e, Method: m, Batches: batches, Eval: []data.MicroBatch{batch(2, 53), batch(5, 53)},
		Schedule: optim.Schedule{Kind: "constant", Peak: 1e-2, Total: batches.steps},
		Dir:      dir, Identity: map[string]string{"run": "same"}, EvalEvery: 2, Keep: 2, JSONL: true, MaxSkipped: 5,
	}
	if change != nil {
		change(r)
	}
	return r
}

// TestAnEndedRunHasItsResult; with its output gone that is written anew, from the
// checkpoint, and the result stays.
func TestAnEndedRunHasItsResult(t *testing.T) {
	dir, steps := t.TempDir(), uneven{4, 0}
	r := short(t, dir, steps, nil)
	none, err := r.Finished()
	require.NoError(t, err)
	assert.Nil(t, none)
	want, err := r.Start(t.Context(), false, nil)
	require.NoError(t, err)
	before := tree.Files(t, dir)

	r = short(t, dir, steps, nil)
	done, err := r.Finished()
	require.NoError(t, err)
	require.NotNil(t, done)
	assert.Equal(t, want, *done)
	assert.Equal(t, "already at step 4/4; nothing to do", r.NothingToDo(*done))
	assert.Equal(t, before, tree.Files(t, dir))

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "adapter")))
	done, err = r.Finished()
	require.NoError(t, err)
	assert.Nil(t, done)
	var said []string
	again, err := r.Start(t.Context(), true, func(e train.Event) { said = append(said, e.Message) })
	require.NoError(t, err)
	assert.Equal(t, want, again)
	assert.Contains(t, strings.Join(said, "\n"), "already at step 4/4; writing "+filepath.Join(dir, "adapter"))
	assert.Equal(t, before, tree.Files(t, dir))

	_, err = short(t, dir, steps, func(r *train.Run) { r.Identity = map[string]string{"run": "other"} }).Finished()
	assert.ErrorIs(t, err, failure.ErrConfig)

	more := short(t, dir, uneven{6, 0}, nil)
	done, err = more.Finished()
	require.NoError(t, err)
	assert.Nil(t, done, "it has more steps now")
	result, err := more.Start(t.Context(), true, nil)
	require.NoError(t, err)
	assert.Equal(t, 6, result.Steps)
	assert.NotEqual(t, before[filepath.Join(dir, "adapter", "adapter_model.safetensors")], tree.Files(t, dir)[filepath.Join(dir, "adapter", "adapter_model.safetensors")])
}

// TestTheEarlierOutputStaysUntilTheNewOneIsWhole: a full disk does not lose it.
func TestTheEarlierOutputStaysUntilTheNewOneIsWhole(t *testing.T) {
	dir := t.TempDir()
	_, err := short(t, dir, uneven{2, 0}, nil).Start(t.Context(), false, nil)
	require.NoError(t, err)
	before := tree.Files(t, filepath.Join(dir, "adapter"))
	full := errors.New("disk full")
	_, err = short(t, dir, uneven{3, 0}, func(r *train.Run) {
		r.Extra = func(*atomicfs.Dir) error { return full }
	}).Start(t.Context(), true, nil)
	require.ErrorIs(t, err, full)
	assert.Equal(t, before, tree.Files(t, filepath.Join(dir, "adapter")))
}

// TestAResumedRunCountsAllOfItsStarts: tokens, seconds, and memory, though the
// largest micro-batch came before the last start.
func TestAResumedRunCountsAllOfItsStarts(t *testing.T) {
	whole, err := short(t, t.TempDir(), uneven{6, 1}, nil).Start(t.Context(), false, nil)
	require.NoError(t, err)
	require.Equal(t, whole.Planned, whole.Used)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	seconds := 0.0
	_, err = short(t, dir, uneven{6, 1}, nil).Start(ctx, false, func(e train.Event) {
		seconds += e.Seconds
		if e.Step == 3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, failure.ErrPreempted)
	result, err := short(t, dir, uneven{6, 1}, nil).Start(t.Context(), true, func(e train.Event) {
		seconds += e.Seconds
		if e.Step > 0 {
			assert.Equal(t, whole.Planned.Total(), e.Planned)
			assert.Equal(t, e.Planned, e.Used)
		}
	})
	require.NoError(t, err)
	assert.Equal(t, whole.Tokens, result.Tokens)
	assert.InDelta(t, seconds, result.Seconds, 1e-9)
	assert.Equal(t, result.Planned, result.Used)
	assert.Equal(t, whole.Loss, result.Loss)
	assert.Equal(t, *whole.EvalBefore, *result.EvalBefore)
	assert.Equal(t, *whole.EvalAfter, *result.EvalAfter)
}

// TestUsedIsThePlanOfWhatRan: a run that stops before its largest micro-batch
// used less, to the byte what is planned for the others.
func TestUsedIsThePlanOfWhatRan(t *testing.T) {
	r := short(t, t.TempDir(), uneven{60, 59}, func(r *train.Run) { r.Patience = 1 })
	result, err := r.Start(t.Context(), false, nil)
	require.NoError(t, err)
	require.Less(t, result.Steps, 60, "the run has to overfit")
	j := r.Engine.Job
	j.Train = []nn.Bucket{bucket(batch(1, 53))}
	ran, err := j.Count()
	require.NoError(t, err)
	assert.Equal(t, ran.Bytes[bindings.Activations], result.Used[bindings.Activations])
	assert.Less(t, result.Used[bindings.Activations], result.Planned[bindings.Activations])
}

// asked is a context that is cancelled once it was asked a number of times.
type asked struct {
	context.Context
	left *int
}

func askedOften(t *testing.T, times int) asked { return asked{t.Context(), &times} }

func (a asked) Err() error {
	if *a.left--; *a.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestStoppedAnywhere: in a step or in an evaluation, the run ends there, and once
// it goes on has the same records and bits as one that was not stopped.
func TestStoppedAnywhere(t *testing.T) {
	whole := t.TempDir()
	want, err := short(t, whole, uneven{4, 0}, nil).Start(t.Context(), false, nil)
	require.NoError(t, err)
	pending := 0
	for n := 0; ; n++ {
		dir := t.TempDir()
		_, err := short(t, dir, uneven{4, 0}, nil).Start(askedOften(t, n), false, nil)
		if err == nil {
			assert.Equal(t, 10, n, "four steps, three evaluations of two micro-batches")
			break
		}
		require.ErrorIs(t, err, failure.ErrPreempted, "question %d", n)
		assert.ErrorContains(t, err, "--resume auto")
		st, err := (&checkpoint.Store{Dir: filepath.Join(dir, "checkpoints")}).Newest()
		require.NoError(t, err)
		if st.Pending != nil {
			pending++
		}
		got, err := short(t, dir, uneven{4, 0}, nil).Start(t.Context(), true, nil)
		require.NoError(t, err)
		assert.Equal(t, *want.EvalBefore, *got.EvalBefore)
		assert.Equal(t, *want.EvalAfter, *got.EvalAfter)
		assert.Equal(t, want.BestStep, got.BestStep)
		assert.Equal(t, timeless(t, whole), timeless(t, dir), "question %d", n)
		for name, text := range tree.Files(t, filepath.Join(whole, "adapter")) {
			got, err := os.ReadFile(filepath.Join(dir, "adapter", filepath.Base(name)))
			require.NoError(t, err)
			assert.Equal(t, text, string(got))
		}
	}
	assert.Equal(t, 4, pending, "in the evaluations after steps 2 and 4")
}

// timeless are the records of a run without what the clock decides.
func timeless(t *testing.T, dir string) (all []train.Event) {
	t.Helper()
	all, err := train.ReadMetrics(dir)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for i := range all {
		all[i].Seconds, all[i].TokensPerSec = 0, 0
	}
	return all
}

// TestAnEvaluationThatIsNoNumber is told of and is null in every file; the run,
// whose own losses are finite, goes on, and through a resume.
func TestAnEvaluationThatIsNoNumber(t *testing.T) {
	dir := t.TempDir()
	overflow := func(r *train.Run) {
		r.LoadBest, r.SaveEvery = true, 1
		r.Eval[0].Weights[0] = float32(math.Inf(1))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var said []string
	_, err := short(t, dir, uneven{4, 0}, overflow).Start(ctx, false, func(e train.Event) {
		said = append(said, e.Message)
		if e.Step == 3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, failure.ErrPreempted)
	assert.Contains(t, strings.Join(said, "\n"), "the evaluation loss before training is NaN: a number overflows")
	assert.Contains(t, strings.Join(said, "\n"), "the evaluation loss after step 2 is NaN")
	result, err := short(t, dir, uneven{4, 0}, overflow).Start(t.Context(), true, nil)
	require.NoError(t, err)
	assert.Zero(t, result.BestStep)
	assert.True(t, math.IsNaN(*result.EvalAfter))
	records, err := os.ReadFile(filepath.Join(dir, train.MetricsFile))
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(records), `"eval_loss":null`), string(records))
	var written map[string]any
	text, err := os.ReadFile(filepath.Join(dir, "result.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &written))
	assert.Contains(t, written, "eval_loss_after")
	assert.Nil(t, written["eval_loss_after"])
	var back train.Result
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, result.Tokens, back.Tokens)
}

// TestANumberThatIsNoneIsNotTheBest, be it the first.
func TestANumberThatIsNoneIsNotTheBest(t *testing.T) {
	nan := 0
	r := short(t, t.TempDir(), uneven{6, 0}, func(r *train.Run) {
		r.LoadBest = true
		r.Measure = func() method.Measure { // the second evaluation, the first that counts, fails
			r.Eval[0].Weights[0] = 1
			if nan++; nan == 2 {
				r.Eval[0].Weights[0] = float32(math.NaN())
			}
			return nil
		}
	})
	result, err := r.Start(t.Context(), false, nil)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, result.BestStep, 4)
}

// TestResumesFromACheckpointThatIsNamed, of another directory too, with the best
// step that lies beside it.
func TestResumesFromACheckpointThatIsNamed(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	best := func(r *train.Run) { r.SaveEvery, r.LoadBest, r.Keep = 1, true, 40 }
	steps := uneven{20, 0}
	want, err := short(t, first, steps, best).Start(t.Context(), false, nil)
	require.NoError(t, err)
	require.Less(t, want.BestStep, 20, "the run has to overfit")
	from := filepath.Join(first, "checkpoints", "step-19")
	taken := 0
	got, err := short(t, second, steps, func(r *train.Run) { best(r); r.From = from }).Start(t.Context(), true, func(e train.Event) {
		if e.Step > 0 {
			taken++
		}
	})
	require.NoError(t, err)
	assert.Equal(t, 1, taken)
	assert.Equal(t, want.BestStep, got.BestStep)
	assert.Equal(t, want.Tokens, got.Tokens)
	for name, text := range tree.Files(t, filepath.Join(first, "adapter")) {
		again, err := os.ReadFile(filepath.Join(second, "adapter", filepath.Base(name)))
		require.NoError(t, err)
		assert.Equal(t, text, string(again), name)
	}
	_, err = checkpoint.Read(filepath.Join(second, "checkpoints", "step-20"))
	require.NoError(t, err)
	_, err = short(t, second, steps, func(r *train.Run) { r.From = first }).Finished()
	require.ErrorIs(t, err, failure.ErrNoInput)
	assert.ErrorContains(t, err, "is no checkpoint")
}

// TestAnEvaluationEndsWithItsContext, after the micro-batch that is under way.
func TestAnEvaluationEndsWithItsContext(t *testing.T) {
	e := open(t, reference.New(reference.Float32), nn.Float32, configs["llama"], methods["lora"])
	b := batchFor(1, e.Model)
	ctx := askedOften(t, 1)
	_, err := e.EvaluateBy(ctx, nil, []data.MicroBatch{b, b, b})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, -1, *ctx.left, "it was asked before the second, and not again")
}

package train_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/optim"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// byHeart is a run over one random micro-batch: it cannot learn anything that
// helps with another.
type byHeart int

func (n byHeart) Steps() int           { return int(n) }
func (byHeart) Epoch(step int) float64 { return float64(step) }
func (byHeart) Step(int) ([]data.MicroBatch, error) {
	return []data.MicroBatch{batch(1, 53)}, nil
}
func (byHeart) evaluation() data.MicroBatch { return batch(2, 53) }

func overfit(t *testing.T, ctx context.Context, dir string, resume bool, change func(*train.Run), on func(train.Event)) (train.Result, error) {
	t.Helper()
	m := methods["lora"]
	r := &train.Run{
		Engine: open(t, native.CPU(native.Options{Threads: 1}), nn.Float32, configs["llama"], m), Method: m,
		Batches: byHeart(40), Eval: []data.MicroBatch{byHeart(0).evaluation()},
		Schedule: optim.Schedule{Kind: "constant", Peak: 1e-2, Total: 40},
		Dir:      dir, Identity: map[string]string{"run": "same"}, EvalEvery: 2, Keep: 2, LoadBest: true, MaxSkipped: 5,
	}
	if change != nil {
		change(r)
	}
	return r.Start(ctx, resume, on)
}

// TestTheBestStepIsKeptAndWritten: what a run writes is its step of the lowest
// held-out loss, though many checkpoints followed it.
func TestTheBestStepIsKeptAndWritten(t *testing.T) {
	dir := t.TempDir()
	var said []string
	result, err := overfit(t, t.Context(), dir, false, func(r *train.Run) { r.SaveEvery = 2 }, func(e train.Event) { said = append(said, e.Message) })
	require.NoError(t, err)
	require.Equal(t, 40, result.Steps)
	require.Less(t, result.BestStep, 30, "the run has to overfit")
	assert.Contains(t, strings.Join(said, "\n"), "held-out loss rose")
	assert.Contains(t, strings.Join(said, "\n"), "restored step")

	best, err := checkpoint.Read(filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%d", result.BestStep)))
	require.NoError(t, err)
	assert.Equal(t, best.Best, *result.EvalAfter)
	e := open(t, native.CPU(native.Options{Threads: 1}), nn.Float32, configs["llama"], methods["lora"])
	written, err := methods["lora"].Load(filepath.Join(dir, "adapter"), e.Model)
	require.NoError(t, err)
	at := 0
	for _, p := range e.Model.Params.Trainable() {
		assert.Equal(t, best.Values[at:at+p.Len()], written[p.Name], p.Name)
		at += p.Len()
	}

	last, err := overfit(t, t.Context(), t.TempDir(), false, func(r *train.Run) { r.LoadBest = false }, nil)
	require.NoError(t, err)
	assert.Greater(t, *last.EvalAfter, *result.EvalAfter)
}

// TestPatienceEndsARun, and a resumed run ends where the whole one does.
func TestPatienceEndsARun(t *testing.T) {
	patient := func(r *train.Run) { r.Patience = 3 }
	whole := t.TempDir()
	result, err := overfit(t, t.Context(), whole, false, patient, nil)
	require.NoError(t, err)
	assert.Equal(t, result.BestStep+6, result.Steps)

	dir := t.TempDir()
	for stop := 3; ; stop += 3 {
		ctx, cancel := context.WithCancel(t.Context())
		again, err := overfit(t, ctx, dir, stop > 3, patient, func(e train.Event) {
			if e.Step == stop {
				cancel()
			}
		})
		cancel()
		if err == nil {
			assert.Equal(t, result.Steps, again.Steps)
			assert.Equal(t, result.BestStep, again.BestStep)
			assert.Equal(t, *result.EvalBefore, *again.EvalBefore)
			break
		}
		require.ErrorIs(t, err, failure.ErrPreempted)
	}
	for _, name := range []string{"adapter/adapter_model.safetensors"} {
		a, err := os.ReadFile(filepath.Join(whole, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, a, b, name)
	}
}

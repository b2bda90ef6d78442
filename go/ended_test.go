package graft_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/graftlm/graft/bindings"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
	"github.com/graftlm/graft/tests/tree"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// again is the run of prepare anew, with settings and options.
func again(t *testing.T, dir string, o graft.Options, sets ...string) *graft.Run {
	t.Helper()
	c, err := config.Parse("run.yaml", fmt.Appendf(nil, `
device: cpu
model: {path: %q}
method: {type: lora, r: 2}
data: {train: %q, max_seq_length: 20}
train: {max_steps: 2, micro_batch_size: 2, gradient_accumulation_steps: 1, output_dir: %q}
`, filepath.Join(dir, "base"), filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "run")), sets)
	require.NoError(t, err)
	run, err := graft.Prepare(context.Background(), c, o)
	require.NoError(t, err)
	t.Cleanup(func() { run.Close() })
	return run
}

// TestAnEndedRunStays: nothing of it is written again, its result is given, and
// another configuration is refused before anything is written, with what differs.
func TestAnEndedRunStays(t *testing.T) {
	dir := place(t, nil)
	want, err := again(t, dir, graft.Options{}).Train(t.Context(), false, nil)
	require.NoError(t, err)
	before := tree.Files(t, filepath.Join(dir, "run"))
	var said []string
	got, err := again(t, dir, graft.Options{}).Train(t.Context(), true, func(e train.Event) { said = append(said, e.Message) })
	require.NoError(t, err)
	assert.Equal(t, []string{"already at step 2/2; nothing to do"}, said)
	assert.Equal(t, want, got)
	assert.Equal(t, before, tree.Files(t, filepath.Join(dir, "run")))

	_, err = again(t, dir, graft.Options{}, "train.max_steps=3", "optim.learning_rate=1e-3", "train.max_skipped=9").Train(t.Context(), true, nil)
	require.ErrorIs(t, err, failure.ErrConfig)
	assert.ErrorContains(t, err, "was made with optim.learning_rate 0.0002, now 0.001; train.max_steps 2, now 3; resume with")
	assert.Equal(t, before, tree.Files(t, filepath.Join(dir, "run")))
}

// TestResumeFromNamesACheckpoint; it goes on in a new directory, and not in one
// with something else.
func TestResumeFromNamesACheckpoint(t *testing.T) {
	dir := place(t, nil)
	want, err := again(t, dir, graft.Options{}, "checkpoint.every=1").Train(t.Context(), false, nil)
	require.NoError(t, err)
	o := graft.Options{ResumeFrom: filepath.Join(dir, "run", "checkpoints", "step-1")}
	out := "train.output_dir=" + filepath.Join(dir, "other")
	got, err := again(t, dir, o, out).Train(t.Context(), true, nil)
	require.NoError(t, err)
	assert.Equal(t, want.Loss, got.Loss)
	_, err = again(t, dir, o, out).Train(t.Context(), true, nil)
	require.ErrorIs(t, err, failure.ErrConfig)
	assert.ErrorContains(t, err, "is not empty")
	_, err = again(t, dir, o).Train(t.Context(), true, nil)
	require.NoError(t, err, "its own directory")

	c, err := config.Parse("run.yaml", fmt.Appendf(nil, "model: {path: %q}\ndata: {train: x.jsonl}", filepath.Join(dir, "base")), nil)
	require.NoError(t, err)
	_, err = graft.Prepare(t.Context(), c, graft.Options{ResumeFrom: filepath.Join(dir, "run")})
	require.ErrorIs(t, err, failure.ErrNoInput)
	assert.ErrorContains(t, err, "is no checkpoint")
}

// TestRunFileSaysWhatARunIsMadeOf, and what it took.
func TestRunFileSaysWhatARunIsMadeOf(t *testing.T) {
	dir := place(t, nil)
	run := again(t, dir, graft.Options{})
	read := func() (r struct {
		Identity map[string]string `json:"identity"`
		Binary   string            `json:"binary"`
		Versions map[string]string `json:"versions"`
		Planned  bindings.Plan     `json:"planned_bytes"`
		Used     *bindings.Plan    `json:"used_bytes"`
		Speed    float64           `json:"tokens_per_second"`
	}) {
		text, err := os.ReadFile(filepath.Join(dir, "run", "run.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &r))
		return r
	}
	result, err := run.Train(t.Context(), false, func(e train.Event) {
		if e.Step == 1 {
			assert.Nil(t, read().Used, "before its end")
		}
	})
	require.NoError(t, err)
	r := read()
	for _, of := range []string{"base", "data", "configuration"} {
		assert.Len(t, r.Identity[of], 64, of)
	}
	own, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(own)
	require.NoError(t, err)
	sum := sha256.Sum256(program)
	assert.Equal(t, hex.EncodeToString(sum[:]), r.Binary)
	assert.Equal(t, runtime.Version(), r.Versions["go"])
	assert.Equal(t, graft.Version(), r.Versions["graft"])
	assert.Equal(t, result.Planned, r.Planned)
	assert.Equal(t, &result.Used, r.Used)
	assert.Equal(t, result.TokensPerSec, r.Speed)
}

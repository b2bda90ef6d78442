package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKilledRunsResumeBitForBit kills the program at random moments, wherever
// it is, and starts it again until it has finished: what it leaves equals what
// an undisturbed run leaves.
func TestKilledRunsResumeBitForBit(t *testing.T) {
	dir := workplace(t)
	args := []string{"train", "run.yaml", "--set", "train.max_steps=60", "--set", "method.lora_dropout=0.1", "--resume", "auto"}
	began := time.Now()
	done(t, dir, append(args, "--set", "train.output_dir=whole")...)
	whole := time.Since(began)

	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	kills := 0
	for end := false; !end; {
		c := command(t.Context(), dir, append(args, "--set", "train.output_dir=killed")...)
		require.NoError(t, c.Start())
		exited := make(chan error, 1)
		go func() { exited <- c.Wait() }()
		patience := time.Duration(r.Int64N(int64(whole / 2)))
		if kills >= 8 {
			patience = time.Hour
		}
		select {
		case err := <-exited:
			require.NoError(t, err)
			end = true
		case <-time.After(patience):
			require.NoError(t, c.Process.Signal(syscall.SIGKILL))
			<-exited
			kills++
		}
	}
	t.Logf("killed %d times", kills)
	for _, name := range []string{"adapter/adapter_model.safetensors", "adapter/adapter_config.json"} {
		assert.Equal(t, contents(t, dir, "whole", name), contents(t, dir, "killed", name), name)
	}
	assert.Equal(t, losses(t, dir, "whole"), losses(t, dir, "killed"))
	left, err := filepath.Glob(filepath.Join(dir, "killed", "*.tmp*"))
	require.NoError(t, err)
	assert.Empty(t, left, "half-written files")
}

// TestInterruptSavesAndSaysHow: one SIGINT ends after the step, with a
// checkpoint; the same command goes on.
func TestInterruptSavesAndSaysHow(t *testing.T) {
	dir := workplace(t)
	args := []string{"train", "run.yaml", "--set", "train.max_steps=3000", "--set", "eval.every=0", "--set", "checkpoint.every=0"}
	c := command(t.Context(), dir, args...)
	go func() {
		for { // once the first step is recorded
			if info, err := os.Stat(filepath.Join(dir, "out", "metrics.jsonl")); err == nil && info.Size() > 0 {
				c.Process.Signal(os.Interrupt)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	o := finish(t, c)
	assert.Equal(t, 75, o.code, o.stderr)
	assert.Contains(t, o.stderr, "--resume auto")
	o = graft(t, dir, args...)
	assert.Equal(t, 78, o.code, "a run directory is not overwritten: %s", o.stderr)
	o = graft(t, dir, append(args, "--resume", "auto", "--set", "train.max_steps=3001")...)
	assert.Equal(t, 78, o.code, "another run does not go on from it: %s", o.stderr)
	assert.Contains(t, o.stderr, "was made with train.max_steps 3000, now 3001;")
}

// TestAnEndedRunAnswersWithItsResult: nothing to do is no failure.
func TestAnEndedRunAnswersWithItsResult(t *testing.T) {
	dir := workplace(t)
	first := graft(t, dir, "train", "run.yaml", "--json")
	require.Zero(t, first.code, first.stderr)
	assert.Regexp(t, `step 6/6 .* tokens/s  [0-9.]+ MiB of [0-9.]+ MiB  0s left`, first.stderr)
	again := graft(t, dir, "train", "run.yaml", "--json", "--resume", "auto")
	require.Zero(t, again.code, again.stderr)
	assert.Equal(t, "already at step 6/6; nothing to do\n", again.stderr)
	assert.JSONEq(t, string(contents(t, dir, "out", "result.json")), again.stdout)
	assert.Equal(t, first.stdout, again.stdout)
	from := graft(t, dir, "train", "run.yaml", "--json", "--resume", "out/checkpoints/step-4", "--set", "train.output_dir=other")
	require.Zero(t, from.code, from.stderr)
	assert.Equal(t, contents(t, dir, "out", "adapter/adapter_model.safetensors"), contents(t, dir, "other", "adapter/adapter_model.safetensors"))
	assert.Equal(t, 66, graft(t, dir, "train", "run.yaml", "--resume", "out", "--set", "train.output_dir=third").code)
}

func contents(t *testing.T, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	require.NoError(t, err)
	return b
}

// losses are the records of a run without what the clock decides.
func losses(t *testing.T, dir, run string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(string(contents(t, dir, run, "metrics.jsonl"))) {
		record := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		delete(record, "seconds")
		delete(record, "tokens_per_second")
		all = append(all, record)
	}
	return all
}

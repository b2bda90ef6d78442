package link

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/train"
)

const llama = `{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
  "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64,
  "max_position_embeddings": 64, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
  "tie_word_embeddings": false, "torch_dtype": "float32"
}`

const steps = 6

// write makes a random base and records of counting tokens.
func write(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "base"), []byte(llama), nil, "F32", 1))
	var records []byte
	for i := range 16 {
		records = fmt.Appendf(records, `{"input_ids": [%d, %d, %d, %d, %d, %d]}`+"\n", i, i+1, i+2, i+3, i+4, i+5)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train.jsonl"), records, 0o644))
}

// start trains into dir/out, as a program would.
func start(ctx context.Context, t *testing.T, dir, out string, resume bool, on func(train.Event)) (train.Result, error) {
	t.Helper()
	text := fmt.Sprintf(`
device: cpu
threads: 2
model: {path: %q}
method: {type: lora, r: 4, lora_alpha: 8}
data: {train: %q, max_seq_length: 16}
train: {max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: %q}
optim: {learning_rate: 5e-2}
`, filepath.Join(dir, "base"), filepath.Join(dir, "train.jsonl"), steps, filepath.Join(dir, out))
	c, err := config.Parse("link", []byte(text), nil)
	require.NoError(t, err)
	run, err := graft.Prepare(ctx, c, graft.Options{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, run.Close()) }()
	return run.Train(ctx, resume, on)
}

// TestResumeQLoRA: a base in four bits and moments in eight, some parameters
// too small for them and one that does not fill its blocks. A run that was
// stopped and resumed ends with the bits of one that was not.
func TestResumeQLoRA(t *testing.T) {
	dir := t.TempDir()
	wide := strings.NewReplacer(`"hidden_size": 32`, `"hidden_size": 64`, `"intermediate_size": 64`, `"intermediate_size": 128`, `"num_key_value_heads": 2`, `"num_key_value_heads": 4`).Replace(llama)
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "base"), []byte(wide), nil, "BF16", 1))
	var records []byte
	for i := range 16 {
		records = fmt.Appendf(records, `{"input_ids": [%d, %d, %d, %d, %d, %d]}`+"\n", i, i+1, i+2, i+3, i+4, i+5)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train.jsonl"), records, 0o644))
	run := func(ctx context.Context, base, out string, resume bool, state string, on func(train.Event)) (train.Result, error) {
		c, err := config.Parse("link", fmt.Appendf(nil, `
device: cpu
threads: 2
model: {path: %q}
method: {type: qlora, r: 33, lora_alpha: 66, lora_dropout: 0.1}
data: {train: %q, max_seq_length: 16}
train: {max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: %q}
optim: {learning_rate: 1e-2, state: %s, weight_decay: 0.01}
`, filepath.Join(dir, base), filepath.Join(dir, "train.jsonl"), steps, filepath.Join(dir, out), state), nil)
		require.NoError(t, err)
		r, err := graft.Prepare(ctx, c, graft.Options{})
		require.NoError(t, err)
		defer func() { assert.NoError(t, r.Close()) }()
		return r.Train(ctx, resume, on)
	}
	whole, err := run(t.Context(), "base", "whole", false, "8bit", nil)
	require.NoError(t, err)
	assert.Equal(t, whole.Planned, whole.Used)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = run(ctx, "base", "halves", false, "8bit", func(e train.Event) {
		if e.Step == 3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, failure.ErrPreempted)
	resumed, err := run(t.Context(), "base", "halves", true, "8bit", nil)
	require.NoError(t, err)
	file := func(r train.Result) []byte {
		raw, err := os.ReadFile(filepath.Join(r.Output, "adapter_model.safetensors"))
		require.NoError(t, err)
		return raw
	}
	assert.Equal(t, file(whole), file(resumed))

	// The base quantised ahead trains to the same bits; moments in float32 to
	// others, near them, in more memory.
	q, err := graft.Quantize(t.Context(), graft.QuantizeOptions{Model: filepath.Join(dir, "base"), Out: filepath.Join(dir, "ahead"), Device: "cpu"})
	require.NoError(t, err)
	assert.Less(t, q.After, q.Before)
	ahead, err := run(t.Context(), "ahead", "again", false, "8bit", nil)
	require.NoError(t, err)
	assert.Equal(t, file(whole), file(ahead))
	full, err := run(t.Context(), "base", "full", false, "fp32", nil)
	require.NoError(t, err)
	assert.NotEqual(t, file(whole), file(full))
	assert.InEpsilon(t, full.Loss, whole.Loss, 0.05)
	assert.Greater(t, full.Planned.Total(), whole.Planned.Total())

	_, err = run(t.Context(), "base", "halves", true, "fp32", nil)
	require.ErrorIs(t, err, failure.ErrConfig, "a run resumes with the moments it was begun with")
}

func TestTrainCancelResumeGenerateClose(t *testing.T) {
	dir := t.TempDir()
	write(t, dir)
	goroutines := runtime.NumGoroutine()

	// One run to the end.
	var whole []train.Event
	result, err := start(t.Context(), t, dir, "whole", false, func(e train.Event) { whole = append(whole, e) })
	require.NoError(t, err)
	require.Len(t, whole, steps)
	assert.Equal(t, steps, result.Steps)
	assert.Equal(t, result.Planned, result.Used, "planned and used bytes")
	assert.Less(t, whole[steps-1].Loss, whole[0].Loss)
	assert.Zero(t, native.Live(), "devices open after a run")

	// The same run, cancelled from its callback after the second step.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := 0
	_, err = start(ctx, t, dir, "halves", false, func(e train.Event) {
		if last = e.Step; last == 2 {
			cancel()
		}
	})
	require.ErrorIs(t, err, failure.ErrPreempted)
	assert.Equal(t, 75, failure.Code(err))
	assert.Equal(t, 2, last)
	assert.NoDirExists(t, filepath.Join(dir, "halves", "adapter"))
	assert.Zero(t, native.Live(), "devices open after a cancelled run")

	// Resumed, it ends where the whole run ended, bit for bit.
	var rest []train.Event
	resumed, err := start(t.Context(), t, dir, "halves", true, func(e train.Event) {
		if e.Message == "" {
			rest = append(rest, e)
		}
	})
	require.NoError(t, err)
	require.Len(t, rest, steps-2)
	for i, e := range rest {
		assert.Equal(t, whole[i+2].Step, e.Step)
		assert.Equal(t, whole[i+2].Loss, e.Loss, "loss of step %d", e.Step)
		assert.Equal(t, whole[i+2].GradNorm, e.GradNorm, "norm of step %d", e.Step)
	}
	want, err := os.ReadFile(filepath.Join(result.Output, "adapter_model.safetensors"))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(resumed.Output, "adapter_model.safetensors"))
	require.NoError(t, err)
	assert.Equal(t, want, got, "the adapters of the whole and of the resumed run")

	speak(t, filepath.Join(dir, "base"), resumed.Output)
	assert.Zero(t, native.Live(), "devices open at the end")

	// A goroutine that was told to end may need a moment to be gone.
	for range 200 {
		if runtime.NumGoroutine() <= goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines, "goroutines at the end")
}

// speak generates with and without the adapter, by token ids: the base has no
// tokenizer.
func speak(t *testing.T, dir, adapter string) {
	t.Helper()
	base, err := graft.OpenBase(dir, "f32")
	require.NoError(t, err)
	defer func() { assert.NoError(t, base.Close()) }()
	m := model.New(base.Config)
	_, values, err := graft.Attach(m, adapter, 1)
	require.NoError(t, err)
	backend, err := device.Open("cpu", 2)
	require.NoError(t, err)
	g, err := generate.Open(t.Context(), backend, generate.Options{Model: m, Types: base.Types, MaxTokens: 32, Source: base.Files, Adapter: values})
	require.NoError(t, err)
	defer func() { assert.NoError(t, g.Close()) }()

	answer := func() []int32 {
		var heard []int32
		done, err := g.Generate(t.Context(), [][]int32{{5, 6, 7}}, generate.Params{MaxNewTokens: 8}, func(_ int, id int32) bool {
			heard = append(heard, id)
			return true
		})
		require.NoError(t, err)
		require.Len(t, done, 1)
		assert.Equal(t, heard, done[0].Tokens, "what the callback heard")
		require.Len(t, heard, 8)
		return heard
	}
	tuned := answer()
	assert.Equal(t, tuned, answer(), "greedy answers repeat")
	require.NoError(t, g.SetAdapter(nil))
	assert.NotEqual(t, tuned, answer(), "the adapter changes the answer")
}

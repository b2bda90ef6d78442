package step

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/graftlm/graft/go/train"
)

const (
	cpu  = "cpu"
	cuda = "cuda:0"
)

// Two models of two layers whose linear layers have whole NF4 blocks of inputs.
const (
	llama = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
		"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 256,
		"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "initializer_range": 0.2, "bos_token_id": 0, "eos_token_id": 0}`
	bert = `{"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 64, "intermediate_size": 128,
		"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320, "max_position_embeddings": 64, "type_vocab_size": 2,
		"layer_norm_eps": 1e-12, "initializer_range": 0.2}`
)

// steps is the length of a run.
const steps = 4

// workplace is a directory with both models in both types, and records.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := strings.Repeat("one two three four ", 8)
	tok, err := tokenizer.TrainBPE(t.Context(), slices.Values([]string{text}), tokenizer.TrainOptions{VocabSize: 300, SpecialTokens: []string{"<|end|>"}})
	require.NoError(t, err)
	require.NoError(t, tok.Save(filepath.Join(dir, "tokenizer.json")))
	tokens, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	require.NoError(t, err)
	files := map[string][]byte{"tokenizer.json": tokens, "tokenizer_config.json": []byte(`{"eos_token": "<|end|>", "bos_token": "<|end|>"}`)}
	for name, c := range map[string]string{"llama": llama, "bert": bert} {
		for _, dtype := range []safetensors.DType{"F32", "BF16"} {
			require.NoError(t, export.Random(t.Context(), filepath.Join(dir, name+"-"+strings.ToLower(string(dtype))), []byte(c), files, dtype, 1))
		}
	}
	var records, classes, several, numbers []byte
	for i := range 16 {
		records = fmt.Appendf(records, `{"input_ids": [%d, %d, %d, %d, %d, %d]}`+"\n", i, 2*i+1, i+2, 3*i+3, i+4, i+5)
		classes = fmt.Appendf(classes, `{"text": "%s", "label": "%s"}`+"\n", []string{"one two", "three four two"}[i%2], []string{"a", "b"}[i%2])
		several = fmt.Appendf(several, `{"text": "%s", "labels": %s}`+"\n", []string{"one two", "three four two"}[i%2], []string{`["a", "b"]`, `["c"]`, `[]`}[i%3])
		numbers = fmt.Appendf(numbers, `{"text": "%s", "label": %g}`+"\n", []string{"one two", "three four two"}[i%2], float64(i)/4-1)
	}
	for name, text := range map[string][]byte{"records": records, "classes": classes, "several": several, "numbers": numbers} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".jsonl"), text, 0o644))
	}
	return dir
}

// setting is a run: a base, a method, its data, and what else is set.
type setting struct {
	base, method, data string
	sets               []string
}

func (s setting) prepare(ctx context.Context, t *testing.T, dir, out, device string, more ...string) (*graft.Run, error) {
	t.Helper()
	c, err := config.Parse("step", fmt.Appendf(nil, `
device: %q
threads: 2
model: {path: %q}
method: %s
data: {train: %q, max_seq_length: 16, val_set_size: 4, cache: none}
train: {num_epochs: 1000, max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: %q}
optim: {learning_rate: 1e-2}
eval: {every: 2}
checkpoint: {every: 0, load_best: false}
log: {tensorboard: false, html: false}
`, device, filepath.Join(dir, s.base), s.method, filepath.Join(dir, s.data), steps, filepath.Join(dir, out)), append(slices.Clone(s.sets), more...))
	require.NoError(t, err)
	return graft.Prepare(ctx, c, graft.Options{})
}

// curve is what a run tells: the loss and the gradient norm of each step, and
// the evaluations.
type curve struct{ loss, norm, eval []float64 }

// train runs on a device, up to a step if that is not 0, or from where a run was
// left.
func (s setting) train(t *testing.T, dir, out, device string, stop int, resume bool, more ...string) (c curve, result train.Result) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run, err := s.prepare(ctx, t, dir, out, device, more...)
	require.NoError(t, err)
	defer func() { require.NoError(t, run.Close()) }()
	result, err = run.Train(ctx, resume, func(e train.Event) {
		if e.Step == 0 || e.Message != "" {
			return
		}
		c.loss, c.norm = append(c.loss, e.Loss), append(c.norm, e.GradNorm)
		if e.EvalLoss != nil {
			c.eval = append(c.eval, *e.EvalLoss)
		}
		if e.Step == stop {
			cancel()
		}
	})
	if stop > 0 {
		require.ErrorIs(t, err, failure.ErrPreempted)
	} else {
		require.NoError(t, err)
		require.Equal(t, result.Planned, result.Used, "planned and used bytes")
	}
	require.Zero(t, native.Live())
	return c, result
}

// written are the bytes of what a run wrote.
func written(t *testing.T, r train.Result) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join(r.Output, "*.safetensors"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		all[filepath.Base(f)] = raw
	}
	return all
}

// clone copies a run directory.
func clone(t *testing.T, dir, from, to string) {
	t.Helper()
	require.NoError(t, os.CopyFS(filepath.Join(dir, to), os.DirFS(filepath.Join(dir, from))))
}

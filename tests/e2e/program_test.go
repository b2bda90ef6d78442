package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/export"
	"github.com/stretchr/testify/require"
)

var program string // path of the built binary

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "graft-e2e-")
	if err == nil {
		program = filepath.Join(dir, "graft")
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build() error {
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/graft").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// output is what a command left behind.
type output struct {
	stdout, stderr string
	code           int
}

// command prepares the program in a directory.
func command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(filepath.Dir(program), "cache"))
	return c
}

// graft runs the program to its end.
func graft(t *testing.T, dir string, args ...string) output {
	t.Helper()
	return finish(t, command(t.Context(), dir, args...))
}

func finish(t *testing.T, c *exec.Cmd) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return output{stdout.String(), stderr.String(), c.ProcessState.ExitCode()}
}

// done runs a command that has to succeed, and gives its stdout.
func done(t *testing.T, dir string, args ...string) string {
	t.Helper()
	o := graft(t, dir, args...)
	require.Zero(t, o.code, "graft %s: %s", strings.Join(args, " "), o.stderr)
	return o.stdout
}

const llama = `{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
  "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320,
  "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
  "tie_word_embeddings": false, "torch_dtype": "float32", "eos_token_id": 0, "bos_token_id": 0
}`

// processor is the native CPU, or, in a build without cgo, the loops in Go.
var processor = map[bool]string{true: "cpu", false: "reference"}[device.Native]

var runFile = "device: " + processor + `
model: {path: base}
method: {type: lora, r: 4, lora_alpha: 8}
data: {train: train.jsonl, max_seq_length: 96, val_set_size: 4}
train: {num_epochs: 10000, max_steps: 6, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: out}
optim: {learning_rate: 1e-2}
checkpoint: {every: 2}
eval: {every: 3}
`

// workplace is a directory with a base that has a tokenizer, records, and
// run.yaml.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var records, text strings.Builder
	for i := range 24 {
		q := fmt.Sprintf("What is %d and %d?", i, i+1)
		a := fmt.Sprintf("It is %d.", 2*i+1)
		fmt.Fprintf(&records, `{"prompt": %q, "completion": %q}`+"\n", q, " "+a)
		fmt.Fprintf(&text, "%s %s\n", q, a)
	}
	write(t, dir, "train.jsonl", records.String())
	write(t, dir, "source.txt", text.String())
	write(t, dir, "run.yaml", runFile)
	done(t, dir, "tokenizer", "train", "source.txt", "--vocab-size", "300", "--special", "<|end|>", "--out", "tokenizer.json")
	tokens, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	require.NoError(t, err)
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "base"), []byte(llama), map[string][]byte{
		"tokenizer.json":        tokens,
		"tokenizer_config.json": []byte(`{"eos_token": "<|end|>", "bos_token": "<|end|>"}`),
	}, "F32", 1))
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

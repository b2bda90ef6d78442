package graft

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/train"
)

// Train trains the run to its end in its output directory. With resume it goes
// on from the newest checkpoint, or from Options.ResumeFrom; a run that has ended
// stays as it is, and its result is given. on is told of each step; it may be
// nil.
func (r *Run) Train(ctx context.Context, resume bool, on func(train.Event)) (train.Result, error) {
	dir := r.Config.Train.OutputDir
	if len(r.options.Adapters) > 0 {
		return train.Result{}, failure.Usage("a run with several adapters beside each other evaluates, and does not train")
	}
	if err := r.Config.Require("train.output_dir"); err != nil {
		return train.Result{}, err
	}
	if err := CheckOutput(r.Config, resume, r.options.ResumeFrom); err != nil {
		return train.Result{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return train.Result{}, failure.IO("%w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return train.Result{}, err
	}
	defer unlock()
	if resume {
		done, err := r.Finished()
		if err != nil {
			return train.Result{}, err
		}
		if done != nil {
			if on != nil {
				on(train.Event{Message: r.training().NothingToDo(*done)})
			}
			return *done, nil
		}
	}
	return r.train(ctx, resume, on)
}

// train is Train in a directory that is held.
func (r *Run) train(ctx context.Context, resume bool, on func(train.Event)) (train.Result, error) {
	dir := r.Config.Train.OutputDir
	if err := r.describe(dir); err != nil {
		return train.Result{}, err
	}
	e, err := r.open(ctx)
	if err != nil {
		return train.Result{}, err
	}
	defer e.Close()
	t := r.training()
	t.Engine = e
	result, err := t.Start(ctx, resume, on)
	if err == nil && r.Config.Log.HTML {
		err = r.writeReport(dir, result)
	}
	if err == nil {
		err = r.writeProvenance(dir, &result)
	}
	return result, err
}

// Finished gives the result of a run that has ended, nil if there is something to
// train; it fails where the checkpoint that a resume starts from is of another
// run. It writes nothing.
func (r *Run) Finished() (*train.Result, error) { return r.training().Finished() }

// training is the run without its engine.
func (r *Run) training() *train.Run {
	c := r.Config
	return &train.Run{
		Method: r.Method, Batches: r.Batches, Measure: r.measure, Eval: r.Eval, Schedule: r.schedule,
		Dir: c.Train.OutputDir, From: r.options.ResumeFrom, Identity: r.identity, Settings: r.settings(),
		EvalEvery: c.Eval.Every, SaveEvery: c.Checkpoint.Every, Keep: c.Checkpoint.Keep,
		LogEvery: c.Log.Every, JSONL: c.Log.JSONL, Board: c.Log.TensorBoard,
		LoadBest: c.Checkpoint.LoadBest, Patience: c.Eval.Patience, MaxSkipped: c.Train.MaxSkipped, Extra: r.extras,
	}
}

// CheckOutput checks the run directory before anything is loaded: a run goes on
// in its own, and every other one, which may start from a checkpoint of another
// directory, begins in one that is new or empty.
func CheckOutput(c *config.Config, resume bool, from string) error {
	if from != "" {
		own, err := filepath.Abs(filepath.Join(c.Train.OutputDir, "checkpoints"))
		if err != nil {
			return failure.IO("%w", err)
		}
		if from, err = filepath.Abs(from); err != nil {
			return failure.IO("%w", err)
		}
		resume = filepath.Dir(from) == own
	}
	return c.CheckOutput(resume)
}

// open reserves the planned memory and loads the base into it.
func (r *Run) open(ctx context.Context) (*train.Engine, error) {
	if r.extraction != nil {
		known, err := r.features(ctx)
		if err != nil {
			return nil, err
		}
		if err := r.featureBatches(known); err != nil {
			return nil, err
		}
	}
	first, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	e, err := train.NewEngine(r.Backend, r.Job, uint64(r.Config.Train.Seed))
	if err != nil {
		return nil, err
	}
	err = r.Base.load(ctx, e, r.Model, nil, r.progress("loading the base"))
	if err == nil {
		err = e.Init()
	}
	if err == nil {
		err = e.SetValues(first)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// describe writes what the run is before it begins.
func (r *Run) describe(dir string) error {
	if err := atomicfs.WriteFile(filepath.Join(dir, resolvedFile), r.Config.Resolved()); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "plan.json"), r.Plan); err != nil {
		return err
	}
	return r.writeProvenance(dir, nil)
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(path, append(text, '\n'))
}

// Files of a run directory that more than one place knows.
const (
	resolvedFile = "config.resolved.yaml" // the run file that a run writes of itself
	runFile      = "run.json"
	lockFile     = ".lock"
)

// lock refuses a second run in the same directory.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, failure.Config("%s is in use by another run; wait for it, or choose another train.output_dir", dir)
	}
	return func() { f.Close() }, nil
}

// Evaluate gives the loss and accuracy on the evaluation data of the run,
// without training.
func (r *Run) Evaluate(ctx context.Context) (train.Report, error) {
	if len(r.Eval) == 0 {
		return train.Report{}, failure.Config("there is nothing to evaluate on: set data.eval or data.val_set_size")
	}
	if at := r.held.Choosing(); at >= 0 && len(r.adapters.loaded) == 0 {
		source, line := r.held.Place(at)
		return train.Report{}, failure.Usage("%s:%d asks for the adapter %q, and none are loaded beside each other; name each with --adapter", source, line, r.held.Adapter(at))
	}
	e, err := r.open(ctx)
	if err != nil {
		return train.Report{}, err
	}
	defer e.Close()
	e.Tell = r.progress("evaluating")
	return e.EvaluateBy(ctx, r.measure(), r.Eval)
}

// measure begins an evaluation; nil if the method has no measures of its own.
func (r *Run) measure() method.Measure {
	if l, ok := r.Method.(method.Labelled); ok {
		return l.Measure()
	}
	return nil
}

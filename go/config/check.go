package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// Origin says where the value of a key was given: "run.yaml:7",
// "--set optim.learning_rate", "default" or "default for lora".
func (c *Config) Origin(path string) string { return c.origins[path] }

// given reports whether a key has more than its default.
func (c *Config) given(path string) bool { return !strings.HasPrefix(c.origins[path], "default") }

// check holds keys to each other. It looks at values, not at origins, so that
// the resolved file passes it too.
func (c *Config) check() error {
	at := func(path, format string, a ...any) error {
		return fmt.Errorf("%s: %s %w", c.origins[path], path, fmt.Errorf(format, a...))
	}
	d, t, o := &c.Data, &c.Train, &c.Optim
	if o.WarmupSteps > 0 && !c.given("optim.warmup_ratio") {
		o.WarmupRatio, c.origins["optim.warmup_ratio"] = 0, "off, warmup_steps is given"
	}
	switch {
	case d.ValSetSize >= 1 && d.ValSetSize != math.Trunc(d.ValSetSize):
		return at("data.val_set_size", "is %v; want a share below 1 or a whole number of records", d.ValSetSize)
	case d.ValSetSize > 0 && len(d.Eval) > 0:
		return at("data.val_set_size", "and data.eval are both given; keep one")
	case t.Epochs == 0 && t.MaxSteps == 0:
		return at("train.num_epochs", "and train.max_steps are both 0; nothing would be trained")
	case int64(t.MicroBatch)*int64(t.Accumulation) > math.MaxInt32:
		return at("train.gradient_accumulation_steps", "%d times micro_batch_size %d is too large; a step holds at most %d rows", t.Accumulation, t.MicroBatch, math.MaxInt32)
	case o.WarmupRatio > 0 && o.WarmupSteps > 0:
		return at("optim.warmup_steps", "and optim.warmup_ratio are both given; keep one")
	case c.Method.Type == "full" && c.Model.Quant == "nf4":
		return at("model.quant", "is nf4, and full fine-tuning needs weights that can change; use method.type qlora")
	case c.Model.Quant == "nf4" && strings.HasPrefix(c.Method.Init, "pissa"):
		return at("method.init", "is %s, which takes the principal part out of the base, and model.quant nf4 would round what is left; use method.type lora or another init", c.Method.Init)
	case c.Method.Type == "qlora" && c.Model.Quant == "none":
		return at("model.quant", "is none, and qlora is lora over a base in four bits; use method.type lora")
	case c.Method.Kind() == "lora" && c.Method.Targets.None():
		return at("method.target_modules", "selects nothing; use all-linear or a list of names")
	}
	return nil
}

// Require checks that these keys have a value: each command needs others.
func (c *Config) Require(paths ...string) error {
	for _, k := range Keys() {
		v := c.lookup(k)
		if slices.Contains(paths, k.Path) && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0) {
			return failure.Config("%s is not set; add it to the run file or pass --set %s=...", k.Path, k.Path)
		}
	}
	return nil
}

// CheckOutput checks the run directory before anything is loaded: it must be
// new or empty, unless the run goes on in it, and not inside the model.
func (c *Config) CheckOutput(resume bool) error {
	dir := c.Train.OutputDir
	stat, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return failure.IO("train.output_dir: %w", err)
	case !stat.IsDir():
		return failure.Config("train.output_dir %s is a file; name a directory", dir)
	}
	if c.Model.Path != "" {
		model, err1 := resolve(c.Model.Path)
		out, err2 := resolve(dir)
		if err := errors.Join(err1, err2); err != nil {
			return failure.IO("train.output_dir: %w", err)
		}
		if rel, err := filepath.Rel(model, out); err == nil && filepath.IsLocal(rel) {
			return failure.Config("train.output_dir %s lies in the model directory %s; choose one outside", dir, c.Model.Path)
		}
	}
	if resume || stat == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return failure.IO("train.output_dir: %w", err)
	}
	if len(entries) > 0 {
		return failure.Config("train.output_dir %s is not empty; go on with that run by --resume auto, or choose another directory", dir)
	}
	return nil
}

// resolve follows links as far as a path exists.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		parent, err := resolve(filepath.Dir(path))
		return filepath.Join(parent, filepath.Base(path)), err
	}
	return real, err
}

// Package optim holds the schedules of the learning rate. The update itself is
// an operation of the device (bindings.Ops.AdamW), over the trainable set only.
package optim

import (
	"math"

	"github.com/graftlm/graft/go/failure"
)

// Schedule is a learning rate as a function of the step, with the formulas of
// transformers' optimization.py: linear warm-up from 0, so that the first step
// of a run with warm-up has rate 0, and then a decay to 0 at the last step.
type Schedule struct {
	Kind   string // constant, linear, cosine
	Peak   float64
	Warmup int // steps
	Total  int // steps
}

// NewSchedule checks the kind. The warm-up is steps if that is positive, else
// ratio·total, rounded up.
func NewSchedule(kind string, peak float64, steps int, ratio float64, total int) (Schedule, error) {
	switch kind {
	case "constant", "linear", "cosine":
	default:
		return Schedule{}, failure.Config("optim.lr_scheduler: %q is not known; use constant, linear or cosine", kind)
	}
	if steps <= 0 {
		steps = int(math.Ceil(ratio * float64(total)))
	}
	return Schedule{kind, peak, steps, total}, nil
}

// At is the learning rate of step, which counts from 0.
func (s Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step) / float64(max(1, s.Warmup))
	}
	left := float64(step-s.Warmup) / float64(max(1, s.Total-s.Warmup))
	switch s.Kind {
	case "linear":
		return s.Peak * max(0, 1-left)
	case "cosine":
		return s.Peak * max(0, 0.5*(1+math.Cos(math.Pi*left)))
	}
	return s.Peak
}

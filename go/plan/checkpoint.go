package plan

import (
	"errors"
	"sort"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/nn"
)

// Checkpointing says which blocks keep what their backward pass reads, and
// which run again: the values of memory.checkpointing. The step has the same
// bits with each.
type Checkpointing string

const (
	KeepAll Checkpointing = "none"
	RunAll  Checkpointing = "full" // every block keeps only its input
	ToFit   Checkpointing = "auto" // as few as fit the limit run again
)

// Checkpoint decides Recompute. limit is the memory of the whole plan in bytes
// for ToFit, 0 if there is none. Each bucket is decided by itself: a short
// micro-batch does not pay for a long one. Where not even RunAll fits, all run
// again, and the plan is beyond the limit.
func (j *Job) Checkpoint(how Checkpointing, limit int64) error {
	j.Recompute = nil
	switch how {
	case RunAll:
		j.Recompute = map[nn.Bucket]int{}
		for _, b := range j.Train {
			j.Recompute[b] = j.Model.Blocks()
		}
		return nil
	case KeepAll:
		return nil
	case ToFit:
		return j.fit(limit)
	}
	return failure.Config("memory.checkpointing: %q, want none, full or auto", how)
}

func (j *Job) fit(limit int64) error {
	kept, err := j.Count()
	if err != nil || limit <= 0 || kept.Bytes.Total() <= limit {
		return err
	}
	room := limit - (kept.Bytes.Total() - kept.Bytes[bindings.Activations])
	chosen := map[nn.Bucket]int{}
	for _, b := range j.Train {
		one := *j
		one.Train, one.Eval = []nn.Bucket{b}, nil
		// More blocks that run again never need more memory.
		chosen[b] = sort.Search(j.Model.Blocks(), func(n int) bool {
			one.Recompute = map[nn.Bucket]int{b: n}
			p, failed := one.Count()
			err = errors.Join(err, failed)
			return p.Bytes[bindings.Activations] <= room
		})
	}
	j.Recompute = chosen
	return err
}

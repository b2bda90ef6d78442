package graft

import (
	"context"
	"errors"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/plan"
)

// Machine is what a configuration is planned for: the profile of its device,
// which need not be there, and the bytes that a run may take, as training counts
// them; 0 if that is not known.
func Machine(c *config.Config) (p bindings.Profile, limit int64, err error) {
	if b, err := device.Open(c.Device, c.Threads); err == nil {
		limit, _ = limitOf(c, b)
		return b.Profile(), limit, nil
	}
	p, err = device.Profile(c.Device, c.Threads)
	return p, int64(c.Memory.Limit), err
}

// CountRecords is how many records a run trains on, held-out ones included; 0
// if its files are not there.
func CountRecords(ctx context.Context, c *config.Config) (n int, err error) {
	forms, err := data.Count(ctx, sources(c.Data.Train), nil)
	if errors.Is(err, failure.ErrNoInput) {
		return 0, nil
	}
	for _, records := range forms {
		n += records
	}
	return n, err
}

// Room is the largest micro-batch of rows of a length, and the longest single
// row, that a memory holds; 0: none fits.
type Room struct {
	Memory          int64 `json:"memory"`
	Length          int   `json:"row_length"`
	LargestBatch    int   `json:"largest_micro_batch"`
	LargestSequence int   `json:"largest_sequence"`
}

// Room looks for what fits the memory of the run; nil where that is not known,
// or where the base is not part of a step.
func (r *Run) Room() *Room {
	limit, _ := limitOf(r.Config, r.Backend)
	if limit <= 0 || r.extraction != nil {
		return nil
	}
	length, virtual := r.Config.Data.MaxSeqLength, r.Model.Row.Virtual
	if !r.Config.Data.Packing {
		length = min(length, r.longest()-virtual)
	}
	x := room(limit, length, r.Base.Config.MaxPositions-r.Model.Virtual(), func(s Shape) (plan.Plan, error) {
		j := r.Job
		j.Train, j.Eval, j.Longest = s.buckets(r.Model), nil, s.Sequence+virtual
		if err := j.Checkpoint(plan.Checkpointing(r.Config.Memory.Checkpointing), limit); err != nil {
			return plan.Plan{}, err
		}
		return j.Count()
	})
	return &x
}

func room(limit int64, length, longest int, count func(Shape) (plan.Plan, error)) Room {
	fits := func(s Shape) bool {
		p, err := count(s)
		return err == nil && p.Bytes.Total() <= limit
	}
	return Room{
		Memory: limit, Length: length,
		LargestBatch:    largest(1<<16, func(n int) bool { return fits(Shape{n, length}) }),
		LargestSequence: largest(longest, func(n int) bool { return fits(Shape{1, n}) }),
	}
}

// largest is the largest n up to most that holds, for a condition that large
// ones break; 0 if 1 breaks it.
func largest(most int, holds func(int) bool) int {
	low, high := 0, 1
	for high <= most && holds(high) {
		low, high = high, 2*high
	}
	high = min(high, most+1)
	for high-low > 1 {
		if middle := (low + high) / 2; holds(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

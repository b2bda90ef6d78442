// Package plan tells what a run needs before anything is allocated. It reads
// the very programs that will run on a device that only counts, so the plan is
// exact: train reserves these bytes and no others.
//
//	job := plan.Job{Model: m, Types: nn.BFloat, Profile: bindings.CPUProfile(2), Train: buckets}
//	p, err := job.Count()
//	fmt.Println(p.Bytes.Total(), p.FLOPs)
package plan

import (
	"fmt"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Job is everything that decides the memory of a training run. The method has
// marked what is trainable before.
type Job struct {
	Model   *model.Model
	Types   nn.Types
	Profile bindings.Profile
	Hyper   nn.Hyper
	Train   []nn.Bucket // of training micro-batches
	Eval    []nn.Bucket // of evaluation micro-batches
	// Longest is the most tokens of a sequence, virtual ones included; 0: not
	// known. A device may leave keys out of attention that are further away.
	Longest int
	// Recompute is how many blocks of a training micro-batch keep only their
	// inputs (nn.Batch); see Checkpoint. A bucket that is not there keeps all.
	Recompute map[nn.Bucket]int
	// Adapters is the number of adapters that an evaluation weighs for each
	// token (nn.Batch.Gates); 0: all have weight 1.
	Adapters int
}

// Placed is a job with a place for each of its tensors.
type Placed struct {
	Job
	Memory  *bindings.Memory
	Report  nn.Report
	Staging *nn.Staging
	Output  bindings.Tensor // [n, Model.Outputs]: what an evaluation gives for each sequence; may be absent
	Gates   bindings.Tensor // [adapters, tokens]: their weights; absent for none
}

// Place lays the job out. The same calls plan and run.
func (j Job) Place(m *bindings.Memory) *Placed {
	j.Model.Params.Layout(m, j.Types, len(j.Train) > 0)
	all := append(append([]nn.Bucket(nil), j.Train...), j.Eval...)
	placed := &Placed{
		Job: j, Memory: m,
		Report:  nn.NewReport(m, j.Types),
		Staging: nn.NewStaging(m, j.Types, all, j.Model.Config.Rope.Dim/2, j.Model.Row),
	}
	sequences, tokens := 0, 0
	for _, b := range j.Eval {
		sequences, tokens = max(sequences, b.Sequences), max(tokens, b.Tokens)
	}
	if j.Model.Outputs > 0 && sequences > 0 {
		placed.Output = m.Alloc(bindings.Trainable, j.Types.Param, sequences, j.Model.Outputs)
	}
	if j.Adapters > 0 && tokens > 0 {
		placed.Gates = m.Alloc(bindings.Staging, j.Types.Param, j.Adapters, tokens)
	}
	return placed
}

// Gate is where the weights of an adapter lie for the tokens of a bucket.
func (p *Placed) Gate(adapter int, b nn.Bucket) bindings.Tensor {
	return p.Gates.View(adapter*p.Gates.Cols(), b.Tokens)
}

// Reading gives the programs of the job the operations of a device.
func (p *Placed) Reading(ops bindings.Ops) nn.Reading {
	return nn.Reading{Ops: ops, Memory: p.Memory, Profile: p.Profile, Types: p.Types}
}

// The programs of a run.

// Clear begins a step, or an evaluation.
func (p *Placed) Clear(ops bindings.Ops) { nn.Clear(p.Reading(ops), p.Model.Params, p.Report) }

// ClearLoss begins an evaluation.
func (p *Placed) ClearLoss(ops bindings.Ops) { ops.Zero(p.Report.Loss()) }

// Micro is a micro-batch of a training step.
func (p *Placed) Micro(b nn.Bucket) func(bindings.Ops) {
	return func(ops bindings.Ops) {
		in := p.Staging.Batch(b)
		in.Longest = p.Longest
		in.Recompute = p.Recompute[b]
		nn.Micro(p.Reading(ops), p.Model.Objective, p.Model.Params, p.Report, in)
	}
}

// Loss is a micro-batch of an evaluation.
func (p *Placed) Loss(b nn.Bucket) func(bindings.Ops) {
	return func(ops bindings.Ops) {
		in := p.Staging.Batch(b)
		in.Longest = p.Longest
		if p.Output.Valid() {
			in.Output = p.Output.RowRange(0, b.Sequences)
		}
		for i := range p.Adapters {
			in.Gates = append(in.Gates, p.Gate(i, b))
		}
		p.Model.Objective.Loss(p.Reading(ops), p.Report.Loss(), in)
	}
}

// Magnitudes comes before the first step of a model with DoRA.
func (p *Placed) Magnitudes(ops bindings.Ops) {
	nn.InitMagnitudes(p.Reading(ops), p.Model.Linears())
}

// Update ends a step.
func (p *Placed) Update(ops bindings.Ops) {
	nn.Update(p.Reading(ops), p.Model.Params, p.Report, p.Staging.LR(), p.Hyper)
}

// Plan is what a job needs.
type Plan struct {
	Bytes bindings.Plan
	Parts Parts
	// FLOPs of one training micro-batch of the largest bucket, forward and
	// backward, counted from the operations.
	FLOPs  float64
	Bucket nn.Bucket // the largest
	Calls  int       // operations of that micro-batch
	// Recomputed is how many of the Blocks run again in its backward pass.
	Recomputed, Blocks int
}

// Parts are the bytes by what they hold. They add up to the total of Bytes.
type Parts struct {
	Weights     int64 `json:"weights"`     // frozen base
	Saved       int64 `json:"saved"`       // what four-bit matrices take less than in the compute type; no part of the sum
	Parameters  int64 `json:"parameters"`  // trainable
	Gradients   int64 `json:"gradients"`   //
	Optimizer   int64 `json:"optimizer"`   // two moments
	Activations int64 `json:"activations"` // at the peak, scratch included
	// Logits is the chunk of them at that peak, with the rows that they are made
	// of; 0 if the peak lies elsewhere and they take the place of other activations.
	Logits    int64 `json:"logits"`
	Staging   int64 `json:"staging"`   // batches on the device
	Workspace int64 `json:"workspace"` // packing buffers of the device
	Other     int64 `json:"other"`     // report and alignment
}

// Count reads every program of the job on the counting device. An error means
// that a program breaks a rule of the operations: a fault of graft.
func (j Job) Count() (Plan, error) {
	mem := bindings.NewMemory()
	placed := j.Place(mem)
	var p Plan
	loss := count.Held{}
	read := func(name string, program func(bindings.Ops)) (*count.Device, error) {
		d := count.New(mem)
		program(d)
		if err := d.Err(); err != nil {
			return nil, failure.Internal("the program %q is faulty: %w", name, err)
		}
		if d.Logits.Top > loss.Top {
			loss = d.Logits
		}
		return d, nil
	}
	for _, b := range j.Train {
		d, err := read(fmt.Sprintf("micro-step %v", b), placed.Micro(b))
		if err != nil {
			return p, err
		}
		if d.Flops > p.FLOPs {
			p.FLOPs, p.Bucket, p.Calls, p.Recomputed = d.Flops, b, d.Ops(), j.Recompute[b]
		}
	}
	if len(j.Train) > 0 {
		for name, program := range map[string]func(bindings.Ops){"magnitudes": placed.Magnitudes, "clear": placed.Clear, "update": placed.Update} {
			if _, err := read(name, program); err != nil {
				return p, err
			}
		}
	}
	for _, b := range j.Eval {
		if _, err := read(fmt.Sprintf("evaluation %v", b), placed.Loss(b)); err != nil {
			return p, err
		}
	}
	p.Blocks = j.Model.Blocks()
	p.Bytes = mem.Peak()
	p.Bytes[bindings.Workspace] = j.Profile.WorkspaceBytes
	p.Parts = placed.parts(p.Bytes)
	if loss.Top == p.Bytes[bindings.Activations] {
		p.Parts.Logits, p.Parts.Activations = loss.Bytes, p.Parts.Activations-loss.Bytes
	}
	return p, nil
}

func (p *Placed) parts(b bindings.Plan) Parts {
	s := p.Model.Params
	x := Parts{
		Weights: b[bindings.Frozen], Activations: b[bindings.Activations],
		Staging: b[bindings.Staging], Workspace: b[bindings.Workspace],
	}
	if s.Values.Valid() {
		x.Parameters = s.Values.Bytes()
	}
	if s.Grads.Valid() {
		x.Gradients, x.Optimizer = s.Grads.Bytes(), s.Moments.Bytes()
	}
	for _, q := range s.All {
		x.Saved += q.Saved(p.Types)
	}
	x.Other = b[bindings.Trainable] - x.Parameters - x.Gradients - x.Optimizer
	return x
}

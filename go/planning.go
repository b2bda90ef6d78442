package graft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/safetensors"
)

// Compiled has a device that compiles its programs compile those of the run, and
// tells what each takes by the compiler's own figures; nil for other devices.
func (r *Run) Compiled() ([]bindings.Compiled, error) { return r.Job.Compile(r.Backend) }

// Shape is a micro-batch to be planned: rows of that many tokens, all of them
// targets.
type Shape struct{ MicroBatch, Sequence int }

// Alternative is one method of fine-tuning, planned for a model that need not
// be there. The bytes are those that a run of it would reserve.
type Alternative struct {
	Method    string     `json:"method"`
	Parts     plan.Parts `json:"bytes"`
	Total     int64      `json:"total"`
	Trainable int        `json:"trainable"`
	Share     float64    `json:"trainable_share"` // of the base's parameters
	FileBytes int64      `json:"file_bytes"`      // of what is written for the task, in float32
	FLOPs     float64    `json:"flops_per_token"` // forward, backward and recomputation
	// LargestBatch and LargestSequence are the largest micro-batch of rows of
	// the planned length, and the longest single row, in the memory; 0: none fits.
	LargestBatch    int `json:"largest_micro_batch,omitempty"`
	LargestSequence int `json:"largest_sequence,omitempty"`
	// Streamed is the total if only two blocks of the frozen base were on the
	// device at a time, which this version does not do.
	Streamed int64 `json:"total_if_streamed"`
}

// PlanMethod plans one method for a config.json. limit is the memory in bytes
// for the largest batch and sequence; 0: not asked.
func PlanMethod(c model.Config, settings *config.Config, p bindings.Profile, s Shape, limit int64) (Alternative, error) {
	a := Alternative{Method: settings.Method.Type}
	types := typesOf(settings.Model.DType, c)
	count := func(s Shape) (plan.Plan, *model.Model, error) {
		how, err := registry.New(settings.Method, method.Base{Dir: "base"})
		if err != nil {
			return plan.Plan{}, nil, err
		}
		if l, ok := how.(method.Labelled); ok && len(l.Wanted().Names) == 0 { // the records would say; a class is few bytes
			how = l.For(data.Labels{Task: data.SingleLabel, Names: []string{"no", "yes"}})
		}
		m := model.New(c)
		if err := how.Attach(m, uint64(settings.Train.Seed)); err != nil {
			return plan.Plan{}, nil, err
		}
		if err := m.Quantize(nowhere{}, model.Quantization(settings.Model.Quant), settings.Model.Double); err != nil {
			return plan.Plan{}, nil, err
		}
		m.Params.EightBit = settings.Optim.State == "8bit"
		b := nn.Bucket{Tokens: s.MicroBatch * (s.Sequence + m.Row.Virtual), Sequences: s.MicroBatch, Targets: s.MicroBatch * s.Sequence}
		if m.Outputs > 0 {
			b.Targets = s.MicroBatch
		}
		job := plan.Job{Model: m, Types: types, Profile: p, Train: []nn.Bucket{b}, Longest: s.Sequence + m.Row.Virtual, Hyper: nn.Hyper{MaxGradNorm: 1}}
		if err := job.Checkpoint(plan.Checkpointing(settings.Memory.Checkpointing), limit); err != nil {
			return plan.Plan{}, nil, err
		}
		counted, err := job.Count()
		return counted, m, err
	}
	first, m, err := count(s)
	if err != nil {
		return a, err
	}
	a.Parts, a.Total, a.Trainable = first.Parts, first.Bytes.Total(), m.Params.TrainableLen()
	a.Share, a.FileBytes = float64(a.Trainable)/float64(m.BaseLen()), 4*int64(written(m))
	a.FLOPs = first.FLOPs / float64(s.MicroBatch*s.Sequence)
	a.Streamed = a.Total - streamable(m) + 2*streamable(m)/int64(max(c.Layers, 2))
	if limit <= 0 {
		return a, nil
	}
	fits := func(s Shape) bool {
		p, _, err := count(s)
		return err == nil && p.Bytes.Total() <= limit
	}
	a.LargestBatch = largest(1<<16, func(n int) bool { return fits(Shape{n, s.Sequence}) })
	a.LargestSequence = largest(c.MaxPositions-m.Virtual(), func(n int) bool { return fits(Shape{1, n}) })
	return a, nil
}

// written is the number of values in what a method writes: of virtual tokens
// themselves, also where a network computes them.
func written(m *model.Model) int {
	c := m.Config
	switch {
	case m.Row.Virtual > 0:
		return m.Row.Virtual * c.Hidden
	case m.Prefix() > 0:
		return m.Prefix() * 2 * c.Layers * c.KVHeads * c.HeadDim
	}
	return m.Params.TrainableLen()
}

// streamable is the bytes of the frozen matrices of all blocks.
func streamable(m *model.Model) (n int64) {
	for _, l := range m.Linears() {
		if !l.W.Trainable {
			for _, t := range l.W.Weight().Tensors() {
				n += t.Bytes()
			}
		}
	}
	return n
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

// Advice says which of the alternatives to choose, and why, from their numbers
// alone. records is the size of the training data, 0 if it is not known.
func Advice(all []Alternative, limit int64, records int) string {
	find := func(name string) *Alternative {
		if i := slices.IndexFunc(all, func(a Alternative) bool { return a.Method == name }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	fits := func(a *Alternative) bool { return a != nil && (limit <= 0 || a.Total <= limit) }
	full, lora, qlora := find("full"), find("lora"), find("qlora")
	gib := func(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
	switch {
	case fits(full) && records >= 50_000:
		return fmt.Sprintf("full: it fits in %s, and %d records are enough to move every weight; lora needs %.0f %% of the memory if that matters more", gib(full.Total), records, 100*ratio(lora, full))
	case fits(lora):
		why := "it learns nearly what full fine-tuning does and writes a small file"
		if full != nil && limit > 0 && full.Total > limit {
			why = fmt.Sprintf("full would need %s, which is more than there is", gib(full.Total))
		} else if records > 0 {
			why = fmt.Sprintf("%d records are few enough that training every weight would mostly overfit", records)
		}
		return fmt.Sprintf("lora: it fits in %s; %s", gib(lora.Total), why)
	case fits(qlora):
		return fmt.Sprintf("qlora: it fits in %s; the base in 16 bits does not", gib(qlora.Total))
	}
	for i := range all {
		if fits(&all[i]) {
			return fmt.Sprintf("%s: of the methods compared it is the one that fits, in %s", all[i].Method, gib(all[i].Total))
		}
	}
	if len(all) == 0 {
		return "nothing was compared"
	}
	least := slices.MinFunc(all, func(a, b Alternative) int { return int(min(max(a.Total-b.Total, -1), 1)) })
	return fmt.Sprintf("none fits: the smallest, %s, needs %s; a smaller micro-batch, memory.checkpointing: auto or a smaller base needs less", least.Method, gib(least.Total))
}

func ratio(a, b *Alternative) float64 {
	if a == nil || b == nil {
		return 1
	}
	return float64(a.Total) / float64(b.Total)
}

// PlannedModel gives the config of a model directory, of a config.json, or of a
// published model by its short name.
func PlannedModel(name string) (model.Config, error) {
	if text, ok := model.Shape(name); ok {
		return model.ParseConfig(name, text)
	}
	path := name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		path = filepath.Join(name, "config.json")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return model.Config{}, failure.NoInput("%s is no model directory, no config.json and none of the shapes that are known by name (%s)", name, strings.Join(model.ShapeNames(), ", "))
	} else if err != nil {
		return model.Config{}, failure.As(failure.ErrIO, err)
	}
	return model.ParseConfig(path, text)
}

// nowhere is a checkpoint that is not there.
type nowhere struct{}

func (nowhere) Lookup(string) (safetensors.DType, []int, bool) { return "", nil, false }
func (nowhere) ReadAt(name string, _ []byte, _ int64) error {
	return failure.Internal("%s was read for a plan", name)
}

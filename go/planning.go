package graft

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

func (s Shape) buckets(m *model.Model) []nn.Bucket {
	b := nn.Bucket{Tokens: s.MicroBatch * (s.Sequence + m.Row.Virtual), Sequences: s.MicroBatch, Targets: s.MicroBatch * s.Sequence}
	if m.Outputs > 0 {
		b.Targets = s.MicroBatch
	}
	return []nn.Bucket{b}
}

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
	a := Alternative{Method: settings.Alternative()}
	types := typesOf(settings.Model.DType, c)
	var m *model.Model
	var how method.Method
	count := func(s Shape) (_ plan.Plan, err error) {
		if how, err = registry.New(settings.Method, method.Base{Dir: "base"}); err != nil {
			return plan.Plan{}, err
		}
		if l, ok := how.(method.Labelled); ok && len(l.Wanted().Names) == 0 { // the records would say; a class is few bytes
			how = l.For(data.Labels{Task: data.SingleLabel, Names: []string{"no", "yes"}})
		}
		m = model.New(c)
		if err := how.Attach(m, uint64(settings.Train.Seed)); err != nil {
			return plan.Plan{}, err
		}
		if err := m.Quantize(nowhere{}, model.Quantization(settings.Model.Quant), settings.Model.Double); err != nil {
			return plan.Plan{}, err
		}
		m.Params.EightBit = settings.Optim.State == "8bit"
		job := plan.Job{Model: m, Types: types, Profile: p, Train: s.buckets(m), Longest: s.Sequence + m.Row.Virtual, Hyper: nn.Hyper{MaxGradNorm: 1}}
		if err := job.Checkpoint(plan.Checkpointing(settings.Memory.Checkpointing), limit); err != nil {
			return plan.Plan{}, err
		}
		return job.Count()
	}
	first, err := count(s)
	if err != nil {
		return a, err
	}
	a.Parts, a.Total, a.Trainable = first.Parts, first.Bytes.Total(), m.Params.TrainableLen()
	a.Share, a.FileBytes = float64(a.Trainable)/float64(m.BaseLen()), 4*int64(written(how, m))
	a.FLOPs = first.FLOPs / float64(s.MicroBatch*s.Sequence)
	a.Streamed = a.Total - streamable(m) + 2*streamable(m)/int64(max(c.Layers, 2))
	if limit <= 0 {
		return a, nil
	}
	x := room(limit, s.Sequence, c.MaxPositions-m.Virtual(), count)
	a.LargestBatch, a.LargestSequence = x.LargestBatch, x.LargestSequence
	return a, nil
}

// FileBytes is the size of what the run writes for its task, in float32.
func (r *Run) FileBytes() int64 { return 4 * int64(written(r.Method, r.Model)) }

// written is the number of values in what a method writes: of virtual tokens
// themselves, also where a network computes them; of a model the frozen ones too.
func written(how method.Method, m *model.Model) int {
	c := m.Config
	switch {
	case how.Output() == method.Model:
		return m.BaseLen()
	case m.Row.Virtual > 0:
		return m.Row.Virtual * c.Hidden
	case m.Prefix() > 0:
		return m.Prefix() * 2 * c.Layers * c.KVHeads * c.HeadDim
	}
	if more, ok := how.(interface{ Written(*model.Model) int }); ok {
		return more.Written(m)
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

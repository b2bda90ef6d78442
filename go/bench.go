package graft

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/train"
)

// StepBench says which step is timed: that of a run file's settings, over a
// model of random weights and rows of random tokens that are all targets.
type StepBench struct {
	Model    string         // a directory, a config.json, or a known shape; no weights are read
	Settings *config.Config // device, method, memory, model.dtype, train.micro_batch_size, data.max_seq_length
	Steps    int            // timed; 0: 5
	Peak     float64        // FLOP/s of the hardware for MFU; 0: what is known of the device
	Backend  bindings.Backend
}

// StepTimes is what the steps took. FLOPs are those of matrix products and of
// attention, two for each product and sum, as the counting device counts them
// from the operations themselves: what is frozen has no gradient of its weights.
type StepTimes struct {
	Model     string `json:"model"`
	Device    string `json:"device"`
	Method    string `json:"method"`
	Compute   string `json:"dtype"`
	Batch     int    `json:"batch"`
	Sequence  int    `json:"sequence"`
	Trainable int    `json:"trainable"`

	Seconds      []float64 `json:"seconds"`           // of each step
	First        float64   `json:"first_seconds"`     // of the one before them, which prepares
	TokensPerSec float64   `json:"tokens_per_second"` // at the median
	// The FLOPs of a step as they are, and without blocks that run again.
	FLOPs      float64 `json:"flops_executed"`
	ModelFLOPs float64 `json:"flops_model"`
	Rate       float64 `json:"flops_per_second"` // of ModelFLOPs
	Peak       float64 `json:"peak_flops_per_second,omitempty"`
	MFU        float64 `json:"mfu,omitempty"` // Rate / Peak

	// Where the time of a step went, as the host sees it: uploads, launches, the
	// wait for the report, and the host's own. On the CPU a launch is the work.
	Parts map[string]float64 `json:"seconds_by_part"`
	// BusyAtMost is the share of the time in which the device had work: uploads and
	// launches by its own clock, BusyClock "device"; by the host's, "host", the time
	// between the first call of a step and its report. What the device waits for
	// between the kernels of a launch only a profiler tells.
	BusyAtMost float64 `json:"busy_at_most"`
	BusyClock  string  `json:"busy_clock"`
	// Operations are the times of one more step without recordings, by the device's
	// clock; without one, by the host's, each waited for.
	Operations map[string]float64 `json:"seconds_by_operation,omitempty"`

	Recomputed int           `json:"recomputed"` // blocks
	Planned    bindings.Plan `json:"planned_bytes"`
	Used       bindings.Plan `json:"used_bytes"`
}

// peaks are dense bfloat16 FLOP/s from data sheets.
var peaks = []struct {
	name string
	rate float64
}{{"H200", 989e12}, {"H100 PCIe", 756e12}, {"H100", 989e12}, {"A100", 312e12}, {"L40S", 362e12}, {"RTX 4090", 165e12}, {"B200", 2250e12}}

// BenchStep times whole optimizer steps.
func BenchStep(ctx context.Context, o StepBench) (r StepTimes, err error) {
	c := o.Settings
	shape, err := PlannedModel(o.Model)
	if err != nil {
		return r, err
	}
	backend := o.Backend
	if backend == nil {
		if backend, err = device.Open(c.Device, c.Threads); err != nil {
			return r, err
		}
	}
	how, err := registry.New(c.Method, method.Base{Dir: "base"})
	if err != nil {
		return r, err
	}
	if registry.Labelled(c.Method.Type) {
		return r, failure.Config("method.type: %q is trained on labels; bench step times methods that train on tokens", c.Method.Type)
	}
	m := model.New(shape)
	if err := how.Attach(m, uint64(c.Train.Seed)); err != nil {
		return r, err
	}
	if err := m.Quantize(nowhere{}, model.Quantization(c.Model.Quant), c.Model.Double); err != nil {
		return r, err
	}
	m.Params.EightBit = c.Optim.State == "8bit"
	if o.Sequence() > shape.MaxPositions {
		return r, failure.Config("a row of %d tokens is beyond max_position_embeddings %d of %s", o.Sequence(), shape.MaxPositions, o.Model)
	}
	batch := o.batch(m)
	j := plan.Job{
		Model: m, Types: typesOf(c.Model.DType, shape), Profile: backend.Profile(),
		Hyper: nn.Hyper{Beta1: c.Optim.Betas[0], Beta2: c.Optim.Betas[1], Eps: c.Optim.Eps, WeightDecay: c.Optim.WeightDecay, MaxGradNorm: c.Train.MaxGradNorm},
		Train: bucketsOf([]data.MicroBatch{batch}), Longest: batch.Longest,
	}
	if err := j.Checkpoint(plan.KeepAll, 0); err != nil {
		return r, err
	}
	kept, err := j.Count()
	if err != nil {
		return r, err
	}
	limit, what := limitOf(c, backend)
	if err := j.Checkpoint(plan.Checkpointing(c.Memory.Checkpointing), limit); err != nil {
		return r, err
	}
	planned, err := j.Count()
	if err != nil {
		return r, err
	}
	if total := planned.Bytes.Total(); limit > 0 && total > limit {
		return r, failure.Memory("the plan needs %d bytes, %s %d; a smaller batch or sequence needs less", total, what, limit)
	}
	clocked := &clockedBackend{Backend: backend}
	e, err := train.NewEngine(clocked, j, uint64(c.Train.Seed))
	if err != nil {
		return r, err
	}
	defer e.Close()
	if err := m.Random(ctx, clocked.device, e.Planned()); err != nil {
		return r, err
	}
	if err := e.Init(); err != nil {
		return r, err
	}
	clock := clocked.clock
	r = StepTimes{
		Model: o.Model, Device: backend.Info(), Method: c.Method.Type, Compute: j.Types.Compute.String(),
		Batch: c.Train.MicroBatch, Sequence: o.Sequence(), Trainable: m.Params.TrainableLen(),
		FLOPs: planned.FLOPs, ModelFLOPs: kept.FLOPs, Recomputed: planned.Recomputed,
	}
	steps, number := max(o.Steps, 0), 0
	if steps == 0 {
		steps = 5
	}
	step := func() (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		began := time.Now()
		report, err := e.Step(number, c.Optim.LearningRate, []data.MicroBatch{batch})
		if number++; err == nil && !report.Finite {
			err = failure.Internal("step %d of random weights is not finite", number)
		}
		return time.Since(began).Seconds(), err
	}
	if r.First, err = step(); err != nil {
		return r, err
	}
	clock.reset()
	began := time.Now()
	for range steps {
		s, err := step()
		if err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, s)
	}
	all, per := time.Since(began).Seconds(), 1/float64(steps)
	r.Parts = map[string]float64{
		"upload": clock.upload.Seconds() * per, "launch": clock.launch.Seconds() * per, "wait": clock.wait.Seconds() * per,
		"host": (all - (clock.upload + clock.launch + clock.wait).Seconds()) * per,
	}
	r.BusyAtMost, r.BusyClock = 1-clock.idle.Seconds()/all, "host"
	if clock.marker != nil {
		r.BusyAtMost, r.BusyClock = clock.worked.Seconds()/all, "device"
	}
	median := slices.Sorted(slices.Values(r.Seconds))[steps/2]
	r.TokensPerSec = float64(r.Batch*r.Sequence) / median
	r.Rate = r.ModelFLOPs / median
	if r.Peak = o.Peak; r.Peak == 0 {
		for _, p := range peaks {
			if r.Peak == 0 && strings.Contains(r.Device, p.name) {
				r.Peak = p.rate
			}
		}
	}
	if r.Peak > 0 {
		r.MFU = r.Rate / r.Peak
	}
	if p, ok := clocked.device.(bindings.Profiler); ok {
		clock.marker = nil // its marks are now those of the operations
		times, err := p.Profile(func() error { _, err := step(); return err })
		if err != nil {
			return r, err
		}
		r.Operations = map[string]float64{}
		for op, t := range times {
			r.Operations[op] = t.Time.Seconds()
		}
	}
	r.Planned, r.Used = e.Planned(), e.Used()
	return r, nil
}

// Sequence is the length of a row.
func (o StepBench) Sequence() int { return o.Settings.Data.MaxSeqLength }

// batch is rows of random tokens.
func (o StepBench) batch(m *model.Model) data.MicroBatch {
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]data.Row, o.Settings.Train.MicroBatch)
	for i := range rows {
		for range o.Sequence() {
			rows[i].IDs = append(rows[i].IDs, int32(r.IntN(m.Config.Vocab)))
		}
		rows[i].Labels = rows[i].IDs
	}
	return data.FlattenPrompted(rows, m.Row.Virtual)
}

// typesOf is what a model that is not there would be computed in.
func typesOf(dtype string, c model.Config) nn.Types {
	if dtype == "f32" || dtype == "auto" && c.DType == "float32" {
		return nn.Float32
	}
	return nn.BFloat
}

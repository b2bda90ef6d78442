package train

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
)

// Engine runs the programs of a job on a device: it stages micro-batches,
// launches, and downloads one report a step.
type Engine struct {
	*plan.Placed
	Tell     func(done, total int64) // of the micro-batches of an evaluation; may be nil
	dev      bindings.Device
	planned  bindings.Plan
	programs plan.Programs[program]
	seed     uint64
}

type program struct {
	name   string
	bucket nn.Bucket
}

// Report is what a step tells.
type Report struct {
	Loss     float64 // mean over the target tokens of the step
	Accuracy float64 // share of them that were the most likely token
	GradNorm float64
	Clip     float64
	Finite   bool
	Applied  int // steps applied since the beginning of the run

	Measures   map[string]float64 // of an evaluation, where the method has its own
	Evaluation any
}

// NewEngine reserves the planned bytes on a backend. The weights are still to
// be loaded.
func NewEngine(b bindings.Backend, j plan.Job, seed uint64) (*Engine, error) {
	p, err := j.Count()
	if err != nil {
		return nil, err
	}
	dev, err := plan.Open(b, p.Bytes)
	if err != nil {
		return nil, err
	}
	return &Engine{
		Placed: j.Place(bindings.NewBoundedMemory(p.Bytes)),
		dev:    dev, planned: p.Bytes, programs: plan.Programs[program]{}, seed: seed,
	}, nil
}

// Device is where the engine runs.
func (e *Engine) Device() bindings.Device { return e.dev }

// Planned and Used are the bytes of each arena; they are equal once the largest
// bucket has run.
func (e *Engine) Planned() bindings.Plan { return e.planned }
func (e *Engine) Used() bindings.Plan {
	u := e.Memory.Peak()
	u[bindings.Workspace] = e.planned[bindings.Workspace]
	return u
}

// Init gives the trainable parameters that no checkpoint has their first
// values, and zeroes the state of the optimizer. The base is loaded before:
// some first values come from it.
func (e *Engine) Init() error {
	s := e.Model.Params
	for _, p := range s.Trainable() {
		if p.Init == nil {
			continue
		}
		v := make([]float32, p.Len())
		p.Init(v)
		if err := model.Upload(e.dev, p.Value, v); err != nil {
			return err
		}
	}
	zero := append(s.Gaps(), e.Placed.Report.Tensor())
	for _, t := range s.Moments.Tensors() {
		zero = append(zero, t.Tensor)
	}
	for _, t := range zero {
		if err := e.dev.Upload(t, make([]byte, t.Bytes())); err != nil {
			return err
		}
	}
	if len(e.Train) > 0 && nn.HasMagnitudes(e.Model.Linears()) {
		return e.launch("magnitudes", nn.Bucket{}, e.Placed.Magnitudes)
	}
	return nil
}

// Step runs one optimizer step over its micro-batches. step counts from 0 and,
// with the seed, decides the dropout masks.
func (e *Engine) Step(step int, lr float64, batches []data.MicroBatch) (Report, error) {
	targets := targetCount(batches)
	if targets == 0 {
		return Report{}, failure.Data("step %d has no target token: nothing would be trained", step+1)
	}
	if err := e.launch("clear", nn.Bucket{}, e.Placed.Clear); err != nil {
		return Report{}, err
	}
	for i, b := range batches {
		bucket := bucketOf(b)
		if err := e.stage(b, bucket, 1/targets, lr, uint32(step), uint32(i)); err != nil {
			return Report{}, err
		}
		if err := e.launch("micro", bucket, e.Placed.Micro(bucket)); err != nil {
			return Report{}, err
		}
	}
	if err := e.launch("update", nn.Bucket{}, e.Placed.Update); err != nil {
		return Report{}, err
	}
	r, err := e.download()
	r.Accuracy /= targets
	return r, err
}

// Evaluate gives the mean loss and the accuracy over the target tokens of
// micro-batches.
func (e *Engine) Evaluate(batches []data.MicroBatch) (Report, error) {
	return e.EvaluateBy(context.Background(), nil, batches)
}

// EvaluateBy gives also what measure makes of the outputs; it may be nil. It ends
// after a micro-batch with the context's error once that is cancelled.
func (e *Engine) EvaluateBy(ctx context.Context, measure method.Measure, batches []data.MicroBatch) (Report, error) {
	targets := targetCount(batches)
	if targets == 0 {
		return Report{}, failure.Data("the evaluation data has no target token")
	}
	before, err := e.download()
	if err != nil {
		return Report{}, err
	}
	if err := e.launch("clear loss", nn.Bucket{}, e.Placed.ClearLoss); err != nil {
		return Report{}, err
	}
	for i, b := range batches {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		bucket := bucketOf(b)
		if err := e.stage(b, bucket, 1/targets, 0, 0, 0); err != nil {
			return Report{}, err
		}
		if err := e.launch("loss", bucket, e.Placed.Loss(bucket)); err != nil {
			return Report{}, err
		}
		if e.Tell != nil {
			e.Tell(int64(i+1), int64(len(batches)))
		}
		if measure == nil {
			continue
		}
		out, err := e.output(bucket)
		if err != nil {
			return Report{}, err
		}
		measure.Add(b, out)
	}
	r, err := e.download()
	if measure != nil {
		r.Measures, r.Evaluation = measure.Result()
	}
	r.Accuracy /= targets
	r.GradNorm, r.Clip, r.Applied = before.GradNorm, before.Clip, before.Applied
	return r, err
}

// Outputs gives what the model gives for each sequence of a micro-batch,
// [sequences, Model.Outputs].
func (e *Engine) Outputs(b data.MicroBatch) ([]float32, error) {
	bucket := bucketOf(b)
	if err := e.stage(b, bucket, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	if err := e.launch("loss", bucket, e.Placed.Loss(bucket)); err != nil {
		return nil, err
	}
	return e.output(bucket)
}

func (e *Engine) output(b nn.Bucket) ([]float32, error) {
	return model.Download(e.dev, e.Placed.Output.RowRange(0, b.Sequences))
}

func targetCount(batches []data.MicroBatch) (n float64) {
	for _, b := range batches {
		for _, w := range b.Weights {
			n += float64(w)
		}
	}
	return n
}

func bucketOf(b data.MicroBatch) nn.Bucket {
	return nn.Bucket{Tokens: len(b.IDs), Sequences: len(b.Cu) - 1, Targets: len(b.Rows)}
}

// stage uploads a micro-batch: its integers, its floats, its seed.
func (e *Engine) stage(b data.MicroBatch, bucket nn.Bucket, inverse, lr float64, step, micro uint32) error {
	if want := e.Model.Row.Virtual; b.Prompt != want || len(b.Virtual) != want*bucket.Sequences {
		return failure.Internal("a micro-batch has %d virtual tokens a sequence, the model %d", b.Prompt, want)
	}
	if len(b.Gates) != e.Adapters {
		return failure.Internal("a micro-batch has weights of %d adapters, the model has %d", len(b.Gates), e.Adapters)
	}
	if most := e.Longest; most > 0 && b.Longest > most {
		return failure.Internal("a micro-batch has a sequence of %d tokens, the plan at most %d", b.Longest, most)
	}
	longest, prefix := 0, int32(e.Model.Prefix())
	positions := make([]int32, len(b.Positions))
	for i, p := range b.Positions {
		positions[i] = p + prefix
		longest = max(longest, int(positions[i])+1)
	}
	slots := make([]int32, len(b.Virtual))
	for i := range slots {
		slots[i] = int32(i % b.Prompt)
	}
	to := e.Staging.Ints(bucket)
	ints := make([]byte, 0, to.Bytes())
	for _, part := range [][]int32{b.IDs, positions, b.Cu, b.Rows, b.Targets, b.Virtual, slots} {
		ints, _ = binary.Append(ints, binary.LittleEndian, part) // it knows integers
	}
	floats := []float32{float32(inverse), float32(lr)}
	floats = append(floats, e.Model.Config.Rope.Frequencies(longest)...)
	floats = append(append(append(floats, b.Weights...), b.Values...), b.Features...)
	if err := e.dev.Upload(to, ints); err != nil {
		return err
	}
	if err := model.Upload(e.dev, e.Staging.Floats(bucket), floats); err != nil {
		return err
	}
	for i := range e.Adapters {
		if err := model.Upload(e.dev, e.Placed.Gate(i, bucket), b.Gates[i]); err != nil {
			return err
		}
	}
	seed := []uint32{uint32(e.seed), uint32(e.seed >> 32), step, micro}
	return e.dev.Upload(e.Staging.Seed, bindings.EncodeInts(seed))
}

func (e *Engine) launch(name string, b nn.Bucket, run func(bindings.Ops)) error {
	return e.programs.Launch(e.dev, program{name, b}, name, run)
}

func (e *Engine) download() (Report, error) {
	v, err := model.Download(e.dev, e.Placed.Report.Tensor())
	if err != nil {
		return Report{}, err
	}
	return Report{
		Loss: float64(v[0]), Accuracy: float64(v[1]), GradNorm: float64(v[2]), Clip: float64(v[3]),
		Finite: v[4] != 0, Applied: int(v[5]),
	}, nil
}

// Values downloads a trainable parameter by name.
func (e *Engine) Values(name string) ([]float32, error) {
	for _, p := range e.Model.Params.All {
		if p.Name == name {
			return model.Download(e.dev, p.Value)
		}
	}
	return nil, failure.Internal("no parameter is called %s", name)
}

// SetValues uploads trainable parameters by name.
func (e *Engine) SetValues(values map[string][]float32) error {
	for _, p := range e.Model.Params.Trainable() {
		v, ok := values[p.Name]
		if !ok {
			continue
		}
		if err := model.Upload(e.dev, p.Value, v); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the programs and the device.
func (e *Engine) Close() error {
	return errors.Join(e.programs.Close(), e.dev.Close())
}

// Perplexity is e to the loss.
func (r Report) Perplexity() float64 { return math.Exp(r.Loss) }

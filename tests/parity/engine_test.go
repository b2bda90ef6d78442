package parity_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/require"
)

// kind is a device with the types it computes in.
type kind struct {
	name  string
	open  func() bindings.Backend
	types nn.Types
}

var (
	exact  = kind{"reference float64", func() bindings.Backend { return reference.New(reference.Float64) }, nn.Float64}
	single = kind{"native float32", func() bindings.Backend { return native.CPU(native.Options{Threads: 2}) }, nn.Float32}
	half   = kind{"native bfloat16", single.open, nn.BFloat}
)

// hyper is the optimizer of make_fixtures.py.
var hyper = nn.Hyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1}

// setting is what an engine is opened with.
type setting struct {
	config model.Config
	source model.Source
	method method.Method
	// adapter is the directory of first values; "" leaves those of the method.
	adapter string
	// quant and single are how the base is stored; "" is as the checkpoint is.
	quant  model.Quantization
	single bool // scales are not quantised in turn
	// recompute and eightBit are checkpointing and moments in eight bits.
	recompute, eightBit bool
	hyper               nn.Hyper
	buckets             [][]data.MicroBatch
}

func (s setting) quantize(t *testing.T, m *model.Model) {
	t.Helper()
	require.NoError(t, m.Quantize(s.source, s.quant, !s.single))
}

// open gives an engine with the weights loaded.
func open(t *testing.T, k kind, s setting) *train.Engine {
	t.Helper()
	m := model.New(s.config)
	require.NoError(t, s.method.Attach(m, 7))
	s.quantize(t, m)
	m.Params.EightBit = s.eightBit
	var buckets []nn.Bucket
	for _, batches := range s.buckets {
		for _, b := range batches {
			buckets = append(buckets, nn.Bucket{Tokens: len(b.IDs), Sequences: len(b.Cu) - 1, Targets: len(b.Rows)})
		}
	}
	backend := k.open()
	job := plan.Job{Model: m, Types: k.types, Profile: backend.Profile(), Train: buckets, Eval: buckets, Hyper: s.hyper}
	if s.recompute {
		require.NoError(t, job.Checkpoint(plan.RunAll, 0))
	}
	e, err := train.NewEngine(backend, job, 11)
	require.NoError(t, err)
	t.Cleanup(func() { e.Close() })
	require.NoError(t, m.Load(context.Background(), e.Device(), e.Planned(), s.source, nil))
	require.NoError(t, e.Init())
	if s.adapter != "" {
		values, err := s.method.Load(s.adapter, m)
		require.NoError(t, err)
		require.NoError(t, e.SetValues(values))
	}
	return e
}

// setting is that of a method of the fixture at its start, with all rows apart
// and those of each step packed.
func (f *fixture) setting(t *testing.T, name string) setting {
	t.Helper()
	s := setting{config: f.config(t), source: f.checkpoint(t), method: f.method(t, name), hyper: hyper}
	if name != "full" {
		s.adapter = f.adapter(name, "initial")
	}
	for i := range f.Rows {
		s.buckets = append(s.buckets, f.apart([]int{i}))
	}
	for _, step := range f.Methods[name].Steps {
		s.buckets = append(s.buckets, f.packed(step.Rows))
	}
	return s
}

// floats reads a tensor of any floating-point type in float64.
func floats(t *testing.T, dev bindings.Device, x bindings.Tensor) []float64 {
	t.Helper()
	raw := make([]byte, x.Bytes())
	require.NoError(t, dev.Download(raw, x))
	v := make([]float64, x.Len())
	if x.DType == bindings.F64 {
		for i := range v {
			v[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		return v
	}
	for i, f := range bindings.Decode(x.DType, raw) {
		v[i] = float64(f)
	}
	return v
}

// trained reads all trainable parameters, or their gradients, by name.
func trained(t *testing.T, e *train.Engine, of func(*nn.Param) bindings.Tensor) map[string][]float64 {
	t.Helper()
	all := map[string][]float64{}
	for _, p := range e.Model.Params.Trainable() {
		all[p.Name] = floats(t, e.Device(), of(p))
	}
	return all
}

func gradient(p *nn.Param) bindings.Tensor { return p.Grad }
func weight(p *nn.Param) bindings.Tensor   { return p.Value }

// logits computes those of every token of one row, [T·V], with the adapter of
// a setting.
func logits(t *testing.T, k kind, s setting, row data.Row) []float64 {
	t.Helper()
	m := model.New(s.config)
	if s.method != nil {
		require.NoError(t, s.method.Attach(m, 7))
	}
	s.quantize(t, m)
	virtual := m.Row.Virtual
	batch := data.FlattenPrompted([]data.Row{row}, virtual)
	bucket := nn.Bucket{Tokens: len(batch.IDs), Sequences: 1}
	backend := k.open()
	type place struct {
		memory          *bindings.Memory
		staging         *nn.Staging
		logits, numbers bindings.Tensor
	}
	layout := func(memory *bindings.Memory) place {
		m.Params.Layout(memory, k.types, false)
		return place{
			memory, nn.NewStaging(memory, k.types, []nn.Bucket{bucket}, s.config.Rope.Dim/2, m.Row),
			memory.Alloc(bindings.Trainable, k.types.Param, len(row.IDs), s.config.Vocab),
			memory.Alloc(bindings.Staging, bindings.I32, len(row.IDs)),
		}
	}
	program := func(p place) func(bindings.Ops) {
		return func(ops bindings.Ops) {
			r := nn.Reading{Ops: ops, Memory: p.memory, Profile: backend.Profile(), Types: k.types}
			m.Decoder.Logits(r, p.logits, p.numbers, p.staging.Batch(bucket))
		}
	}
	planning := layout(bindings.NewMemory())
	counter := count.New(planning.memory)
	program(planning)(counter)
	require.NoError(t, counter.Err())
	bytes := planning.memory.Peak()
	bytes[bindings.Workspace] = backend.Profile().WorkspaceBytes

	dev, err := backend.Open(bytes)
	require.NoError(t, err)
	defer dev.Close()
	p := layout(bindings.NewBoundedMemory(bytes))
	require.NoError(t, m.Load(context.Background(), dev, bytes, s.source, nil))
	if s.adapter != "" {
		values, err := s.method.Load(s.adapter, m)
		require.NoError(t, err)
		for _, x := range m.Params.Trainable() {
			require.NoError(t, model.Upload(dev, x.Value, values[x.Name]))
		}
	}
	var ints, numbers []int32
	for i := range row.IDs {
		numbers = append(numbers, int32(virtual+i))
	}
	for i := range batch.Positions {
		batch.Positions[i] += int32(m.Prefix())
	}
	for _, part := range [][]int32{batch.IDs, batch.Positions, batch.Cu, batch.Virtual, batch.Positions[:virtual]} {
		ints = append(ints, part...)
	}
	require.NoError(t, dev.Upload(p.staging.Ints(bucket), bindings.EncodeInts(ints)))
	require.NoError(t, dev.Upload(p.numbers, bindings.EncodeInts(numbers)))
	rest := append([]float32{1, 0}, s.config.Rope.Frequencies(bucket.Tokens+m.Prefix())...)
	require.NoError(t, model.Upload(dev, p.staging.Floats(bucket), rest))
	run, err := dev.Prepare("logits", program(p))
	require.NoError(t, err)
	defer run.Close()
	require.NoError(t, run.Launch())
	return floats(t, dev, p.logits)
}

package graft

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/graftlm/graft/go/train"
)

// SelfCheck is how a device's step compares with the float64 reference on the
// first layers of a real model, one LoRA micro-batch.
type SelfCheck struct {
	Loss          float64 `json:"loss"`
	ReferenceLoss float64 `json:"reference_loss"`
	// GradientError is ‖g − g_ref‖ / ‖g_ref‖ over all adapters, against
	// Tolerance: 1e-4 in float32 and 3e-2 in bfloat16, whose activations keep
	// eight bits.
	GradientError float64 `json:"gradient_error"`
	Tolerance     float64 `json:"tolerance"`
	Layers        int     `json:"layers"`
	Tokens        int     `json:"tokens"`
}

// OK reports whether the error is within tolerance.
func (s SelfCheck) OK() bool { return s.GradientError <= s.Tolerance }

// RunSelfCheck runs one micro-step of the first layers of a model on a device
// and on the reference, and compares the gradients of a LoRA adapter.
func RunSelfCheck(ctx context.Context, dir, dev, dtype string, layers int) (SelfCheck, error) {
	b, err := OpenBase(dir, dtype)
	if err != nil {
		return SelfCheck{}, err
	}
	defer b.Close()
	backend, err := device.Open(dev, 0)
	if err != nil {
		return SelfCheck{}, err
	}
	if layers < 1 || layers > b.Config.Layers {
		return SelfCheck{}, failure.Usage("--layers %d: the model has %d", layers, b.Config.Layers)
	}
	const tokens = 24
	s := SelfCheck{Layers: layers, Tokens: tokens, Tolerance: 1e-4}
	if b.Types == nn.BFloat {
		s.Tolerance = 3e-2
	}
	row := data.Row{}
	for i := range tokens {
		id := int32(bindings.Philox([4]uint32{uint32(i)}, [2]uint32{1, 2})[0] % uint32(b.Config.Vocab))
		row.IDs, row.Labels = append(row.IDs, id), append(row.Labels, id)
	}
	batch := []data.MicroBatch{data.Flatten([]data.Row{row})}
	got, loss, err := gradients(ctx, b, backend, b.Types, layers, batch)
	if err != nil {
		return s, err
	}
	want, exact, err := gradients(ctx, b, reference.New(reference.Float64), nn.Float64, layers, batch)
	if err != nil {
		return s, err
	}
	var off, size float64
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		off, size = off+d*d, size+float64(want[i])*float64(want[i])
	}
	s.Loss, s.ReferenceLoss, s.GradientError = loss, exact, math.Sqrt(off/size)
	return s, nil
}

// gradients runs one step without learning and gives the flat gradients.
func gradients(ctx context.Context, b *Base, backend bindings.Backend, types nn.Types, layers int, batch []data.MicroBatch) ([]float32, float64, error) {
	c := b.Config
	c.Layers, c.Windows = layers, c.Windows[:layers]
	m := model.New(c)
	if err := (lora.Config{R: 8, Alpha: 16, Targets: []string{"all-linear"}}).Attach(m, 1); err != nil {
		return nil, 0, err
	}
	if err := m.Quantize(b.Files, model.QuantAuto, true); err != nil {
		return nil, 0, err
	}
	bucket := nn.Bucket{Tokens: len(batch[0].IDs), Sequences: 1, Targets: len(batch[0].Rows)}
	e, err := train.NewEngine(backend, plan.Job{Model: m, Types: types, Profile: backend.Profile(), Train: []nn.Bucket{bucket}}, 1)
	if err != nil {
		return nil, 0, err
	}
	defer e.Close()
	if err := m.Load(ctx, e.Device(), e.Planned(), below{b.Files, layers}, nil); err != nil {
		return nil, 0, err
	}
	if err := e.Init(); err != nil {
		return nil, 0, err
	}
	for i, p := range m.Params.Trainable() { // B is zero at first, which would hide A's gradient
		v := make([]float32, p.Len())
		for j := range v {
			w := bindings.Philox([4]uint32{uint32(j), uint32(i)}, [2]uint32{3, 4})[0]
			v[j] = float32(float64(w)/(1<<32)-0.5) / float32(math.Sqrt(float64(p.Shape[1])))
		}
		if err := model.Upload(e.Device(), p.Value, v); err != nil {
			return nil, 0, err
		}
	}
	r, err := e.Step(0, 0, batch)
	if err != nil {
		return nil, 0, err
	}
	g, err := model.Download(e.Device(), m.Params.Grads)
	return g, r.Loss, err
}

// below hides the layers of a checkpoint from a number on.
type below struct {
	model.Source
	layers int
}

func (b below) hidden(name string) bool {
	var n int
	at := strings.Index(name, "layers.")
	if at < 0 {
		return false
	}
	_, err := fmt.Sscanf(name[at:], "layers.%d.", &n)
	return err == nil && n >= b.layers
}

func (b below) Names() (all []string) {
	for _, n := range b.Source.Names() {
		if !b.hidden(n) {
			all = append(all, n)
		}
	}
	return all
}

func (b below) Lookup(name string) (safetensors.DType, []int, bool) { return b.Source.Lookup(name) }

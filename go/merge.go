package graft

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
)

// MergeOptions say what is merged into what.
type MergeOptions struct {
	Model, Out string     // directories
	Adapters   []Weighted // added to each other, each with its own weight
	// Dequantized merges onto the decoded NF4 base that a QLoRA adapter was
	// trained on, instead of the weights of the checkpoint. A checkpoint in
	// four bits has nothing else.
	Dequantized bool
	// TrainedOn is how the base was stored when the adapter was trained, which
	// the drift is measured from: "" is QuantNF4 with Dequantized, else QuantAuto.
	TrainedOn model.Quantization
	// NF4 quantises the merged weights again.
	NF4 bool

	Samples int    // of Drift; 0: it is not measured
	Text    string // a file whose text the samples are from; "": random tokens
	MaxKL   float64
	Device  string
	Backend bindings.Backend // instead of Device
	// Progress is told of merging and comparing; it may be nil.
	Progress func(what string, done, total int64)
}

// Merged is what a merge did.
type Merged struct {
	Output   string           `json:"output"`
	Drift    *export.Drift    `json:"drift,omitempty"`
	Survival *export.Survival `json:"survival,omitempty"` // of NF4
}

// sampleTokens is the length of a sample of Drift.
const sampleTokens = 64

// Merge writes the base with adapters added to its weights as a new model
// directory; everything else of the base is copied byte for byte. Then it
// measures what the merge changed. A drift beyond MaxKL is failure.ErrDrift;
// the directory stays.
func Merge(ctx context.Context, o MergeOptions) (r Merged, err error) {
	b, err := OpenBase(o.Model, "f32")
	if err != nil {
		return r, err
	}
	defer b.Close()
	if o.TrainedOn == "" && o.Dequantized {
		o.TrainedOn = model.QuantNF4
	}
	m, values, err := b.adapted(o)
	if err != nil {
		return r, err
	}
	if m.Decoder == nil {
		o.Samples = 0 // an encoder has no next token to compare
	}
	if !o.Dequantized && b.Quantized() {
		return r, failure.Usage("%s is in four bits, which an update vanishes in; merge onto the decoded base with --onto dequant, or give the 16-bit base", o.Model)
	}
	var samples [][]int32
	if o.Samples > 0 {
		if samples, err = b.samples(o); err != nil {
			return r, err
		}
	}
	if o.Backend == nil {
		if o.Backend, err = device.Open(o.Device, 0); err != nil {
			return r, err
		}
	}
	if r.Survival, err = b.merge(ctx, o, m, values); err != nil {
		return Merged{}, err
	}
	r.Output = o.Out
	if o.Samples > 0 {
		if r.Drift, err = b.drift(ctx, o, values, samples); err != nil {
			return r, fmt.Errorf("%s is written, but not compared: %w", o.Out, err)
		}
	}
	if r.Drift != nil && !(r.Drift.KL <= o.MaxKL) {
		return r, failure.Drift("%s drifts from the base with its adapter by %.3g nats a token, the limit is %g (the adapter itself moves %.3g): the directory is written, but not what was trained", o.Out, r.Drift.KL, o.MaxKL, r.Drift.Effect)
	}
	return r, nil
}

// merge writes the directory, with the arithmetic on the device for that long.
func (b *Base) merge(ctx context.Context, o MergeOptions, m *model.Model, values map[string][]float32) (survival *export.Survival, err error) {
	on, err := export.OnDevice(o.Backend, m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	var base export.Base = b.Files
	if o.Dequantized {
		if base, err = export.Dequantized(on, b.Files, m, true); err != nil {
			return nil, err
		}
	}
	if !o.NF4 {
		return nil, export.Merge(ctx, on, base, m, values, o.Out, part(o.Progress, "merging"))
	}
	s, err := export.MergeNF4(ctx, on, base, m, values, true, o.Out, part(o.Progress, "merging"))
	return &s, err
}

// adapted is a model of the base with the adapter, stored as it was trained.
func (b *Base) adapted(o MergeOptions) (*model.Model, map[string][]float32, error) {
	m := model.New(b.Config)
	values, err := stack(m, o.Adapters, false)
	if err != nil {
		return nil, nil, err
	}
	return m, values, m.Quantize(b.Files, o.TrainedOn, true)
}

// drift compares the base with its adapter, the base alone and what was written.
func (b *Base) drift(ctx context.Context, o MergeOptions, values map[string][]float32, samples [][]int32) (*export.Drift, error) {
	adapted, _, err := b.adapted(o)
	if err != nil {
		return nil, err
	}
	after, err := OpenBase(o.Out, "f32")
	if err != nil {
		return nil, err
	}
	defer after.Close()
	merged, base := model.New(after.Config), model.New(b.Config)
	if err := merged.Quantize(after.Files, model.QuantAuto, true); err != nil {
		return nil, err
	}
	if err := base.Quantize(b.Files, o.TrainedOn, true); err != nil {
		return nil, err
	}
	d, err := export.Compare(ctx, o.Backend,
		export.Speaker{Model: adapted, Source: b.Files, Values: values}, export.Speaker{Model: base, Source: b.Files},
		export.Speaker{Model: merged, Source: after.Files}, samples, part(o.Progress, "comparing with the adapter"))
	return &d, err
}

// samples are windows of a text, or random tokens.
func (b *Base) samples(o MergeOptions) (all [][]int32, err error) {
	tokens := min(sampleTokens, b.Config.MaxPositions)
	var ids []int32
	if o.Text != "" {
		if b.Tokenizer == nil {
			return nil, failure.NoInput("%s has no tokenizer.json, which a text needs", b.Dir)
		}
		text, err := os.ReadFile(o.Text)
		if os.IsNotExist(err) {
			return nil, failure.NoInput("%s does not exist", o.Text)
		} else if err != nil {
			return nil, failure.As(failure.ErrIO, err)
		}
		e, err := b.Tokenizer.Encode(string(text), true)
		if err != nil {
			return nil, err
		}
		if ids = e.IDs; len(ids) < tokens {
			return nil, failure.Data("%s has %d tokens, a sample %d", o.Text, len(ids), tokens)
		}
	} else {
		for i := range o.Samples * tokens {
			ids = append(ids, int32(bindings.Philox([4]uint32{uint32(i)}, [2]uint32{5, 6})[0]%uint32(b.Config.Vocab)))
		}
	}
	for at := 0; len(all) < o.Samples && at+tokens <= len(ids); at += tokens {
		all = append(all, ids[at:at+tokens])
	}
	return all, nil
}

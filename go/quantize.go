package graft

import (
	"context"
	"errors"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
)

// Quantized is what quantising a model did.
type Quantized struct {
	Output     string `json:"output"`
	Matrices   int    `json:"matrices"`   // that are in four bits now
	Parameters int    `json:"parameters"` // of these
	Before     int64  `json:"bytes_before"`
	After      int64  `json:"bytes_after"`
}

// QuantizeOptions say what is quantised, and where.
type QuantizeOptions struct {
	Model, Out string // directories
	Single     bool   // the scales are not quantised in turn
	Device     string
	Backend    bindings.Backend // instead of Device
	// Progress is told of quantising; it may be nil.
	Progress func(what string, done, total int64)
}

// Quantize writes a model with the matrices of its linear layers in NF4, as a
// new directory that transformers and bitsandbytes load. The bits are the same
// on every device.
func Quantize(ctx context.Context, o QuantizeOptions) (q Quantized, err error) {
	b, err := OpenBase(o.Model, "auto")
	if err != nil {
		return Quantized{}, err
	}
	defer b.Close()
	m := model.New(b.Config)
	if err := m.Check(b.Files); err != nil {
		return Quantized{}, err
	}
	if b.Quantized() {
		return Quantized{}, failure.Data("%s is quantised already", o.Model)
	}
	if o.Backend == nil {
		if o.Backend, err = device.Open(o.Device, 0); err != nil {
			return Quantized{}, err
		}
	}
	on, err := export.OnDevice(o.Backend, m)
	if err != nil {
		return Quantized{}, err
	}
	if err := errors.Join(export.Quantize(ctx, on, b.Files, m, !o.Single, o.Out, part(o.Progress, "quantising")), on.Close()); err != nil {
		return Quantized{}, err
	}
	q = Quantized{Output: o.Out, Matrices: len(m.Linears()), Before: b.bytes()}
	for _, l := range m.Linears() {
		q.Parameters += l.W.Len()
	}
	after, err := OpenBase(o.Out, "auto")
	if err != nil {
		return Quantized{}, err
	}
	defer after.Close()
	q.After = after.bytes()
	return q, nil
}

// bytes is the size of the weights on disk.
func (b *Base) bytes() (n int64) {
	for _, t := range b.Files.Tensors() {
		n += t.Bytes()
	}
	return n
}

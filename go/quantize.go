package graft

import (
	"context"

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

// Quantize writes a model with the matrices of its linear layers in NF4, as a
// new directory that transformers and bitsandbytes load. double quantises
// their scales in turn.
func Quantize(ctx context.Context, base string, double bool, out string) (Quantized, error) {
	b, err := OpenBase(base, "auto")
	if err != nil {
		return Quantized{}, err
	}
	defer b.Close()
	m := model.New(b.Config)
	if err := m.Check(b.Files); err != nil {
		return Quantized{}, err
	}
	if b.Quantized() {
		return Quantized{}, failure.Data("%s is quantised already", base)
	}
	if err := export.Quantize(ctx, b.Files, m, double, out); err != nil {
		return Quantized{}, err
	}
	q := Quantized{Output: out, Matrices: len(m.Linears()), Before: b.bytes()}
	for _, l := range m.Linears() {
		q.Parameters += l.W.Len()
	}
	after, err := OpenBase(out, "auto")
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

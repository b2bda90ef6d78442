package export

import (
	"bytes"
	"context"
	"io"
	"math"

	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// dequantized is a base with the matrices of its linear layers as training over
// NF4 sees them: decoded, in the type they had before they were quantised.
type dequantized struct {
	*hub.Model
	tensors  []safetensors.Info
	matrices map[string]func(dst []float32, first int) error
}

// Dequantized gives the base that a QLoRA adapter was trained on, decoded. A
// checkpoint in four bits is decoded; of another one the matrices are quantised
// and decoded again, with doubly quantised scales or not. Both are done by on when
// a matrix is read.
func Dequantized(on *Arithmetic, h *hub.Model, m *model.Model, double bool) (Base, error) {
	d := &dequantized{Model: h, matrices: map[string]func([]float32, int) error{}}
	linear := linearNames(m)
	stored, parts, err := bnb.All(h, h.Tensors())
	if err != nil {
		return nil, err
	}
	for _, q := range stored {
		info, err := decodedInfo(q)
		if err != nil {
			return nil, err
		}
		q.Decode = on.decode
		if d.matrices[info.Name], err = q.Values(); err != nil {
			return nil, err
		}
		d.tensors = append(d.tensors, info)
	}
	ahead := len(d.tensors) > 0
	for _, info := range h.Tensors() {
		if parts[info.Name] {
			continue
		}
		d.tensors = append(d.tensors, info)
		if !ahead && linear[info.Name] {
			read, err := model.Values(h, info.Name)
			if err != nil {
				return nil, err
			}
			d.matrices[info.Name] = on.grid(info, read, double)
		}
	}
	return d, nil
}

// linearNames are the names that the matrices of linear layers may have.
func linearNames(m *model.Model) map[string]bool {
	all := map[string]bool{}
	for _, l := range m.Linears() {
		for _, n := range model.Names(l.W.Name) {
			all[n] = true
		}
	}
	return all
}

// decodedInfo describes a four-bit matrix as it was.
func decodedInfo(q *bnb.Tensor) (safetensors.Info, error) {
	for dtype, name := range torchNames {
		if name == q.DType {
			return safetensors.Describe(q.Name, dtype, q.Shape...), nil
		}
	}
	return safetensors.Info{}, failure.Data("%s was quantised from %q, want float32, bfloat16 or float16", q.Name, q.DType)
}

// grid quantises a whole matrix and gives the decoded values.
func (x *Arithmetic) grid(info safetensors.Info, read func([]float32, int) error, double bool) func([]float32, int) error {
	return func(dst []float32, first int) error {
		all := make([]float32, info.Elements())
		if err := read(all, 0); err != nil {
			return err
		}
		if err := x.requantise(all, double); err != nil {
			return err
		}
		copy(dst, all[first:])
		return nil
	}
}

func (d *dequantized) Tensors() []safetensors.Info { return d.tensors }

// ReadAt reads a whole matrix, or any part of another tensor.
func (d *dequantized) ReadAt(name string, dst []byte, offset int64) error {
	read, ok := d.matrices[name]
	if !ok {
		return d.Model.ReadAt(name, dst, offset)
	}
	for _, info := range d.tensors {
		if info.Name == name && offset == 0 && int64(len(dst)) == info.Bytes() {
			values := make([]float32, info.Elements())
			if err := read(values, 0); err != nil {
				return err
			}
			encodeFloats(dst, info.DType, values)
			return nil
		}
	}
	return failure.Internal("%s is read in parts", name)
}

// ConfigJSON is that of a base that is not quantised.
func (d *dequantized) ConfigJSON() []byte {
	c, err := hub.ParseObject(d.Model.ConfigJSON())
	if err != nil {
		return d.Model.ConfigJSON()
	}
	c.Delete(bnb.ConfigKey)
	return c.Bytes()
}

// Survival is how much of an adapter a four-bit copy of the merged weights
// still has: an update that is small beside the gaps between codes is rounded
// away.
type Survival struct {
	// Kept is ⟨Δ', Δ⟩/⟨Δ, Δ⟩ over all adapted matrices, where Δ is the update
	// and Δ' what is left of it.
	Kept float64 `json:"kept"`
	// Error is ‖Δ' − Δ‖/‖Δ‖.
	Error float64 `json:"error"`
	// Size is ‖Δ‖/‖W‖.
	Size float64 `json:"size"`
}

// MergeNF4 is Merge with the matrices of linear layers quantised again.
func MergeNF4(ctx context.Context, on *Arithmetic, base Base, m *model.Model, values map[string][]float32, double bool, dir string, tell Progress) (s Survival, err error) {
	tensors, err := merged(ctx, on, base, m, values)
	if err != nil {
		return s, err
	}
	linear := linearNames(m)
	total, err := bytesOf(tensors)
	if err != nil {
		return s, err
	}
	var parts []safetensors.Tensor
	var done int64 // of the first half of the work, which measures
	var dot, update, off, size float64
	compute := ""
	for _, t := range tensors {
		if !linear[t.Name] {
			parts = append(parts, t)
			continue
		}
		compute = torchNames[t.DType]
		after, err := floatsOf(t)
		if err != nil {
			return s, err
		}
		var all []float32 // computed for the first part, let go after the last
		matrix := bnb.Matrix{Name: t.Name, Shape: t.Shape, DType: compute, Encode: on.encoder(), Read: func(dst []float32, first int) (err error) {
			if first == 0 {
				if all, err = floatsOf(t); err != nil {
					return err
				}
			}
			if copy(dst, all[first:]); first+len(dst) == len(all) {
				all = nil
			}
			return nil
		}}
		quantised, err := matrix.Tensors(double)
		if err != nil {
			return s, err
		}
		parts = append(parts, quantised...)
		before := make([]float32, len(after))
		raw := make([]byte, int64(len(after))*int64(t.DType.Size()))
		if err := base.ReadAt(t.Name, raw, 0); err != nil {
			return s, err
		}
		decodeFloats(before, t.DType, raw)
		delta := make([]float32, len(after))
		for i := range delta {
			delta[i] = after[i] - before[i]
			size += float64(before[i]) * float64(before[i])
		}
		for _, values := range [][]float32{before, after} {
			if err := on.requantise(values, double); err != nil {
				return s, err
			}
		}
		for i, d := range delta {
			left := float64(after[i]) - float64(before[i])
			dot += left * float64(d)
			update += float64(d) * float64(d)
			off += (left - float64(d)) * (left - float64(d))
		}
		if done += int64(len(raw)); tell != nil {
			tell(done, 2*total)
		}
	}
	if update > 0 {
		s = Survival{Kept: dot / update, Error: math.Sqrt(off / update), Size: math.Sqrt(update / size)}
	}
	var writing Progress
	if tell != nil {
		writing = func(done, of int64) { tell(total+int64(float64(total)*float64(done)/float64(of)), 2*total) }
	}
	return s, write(base, parts, dir, writing, func(c *hub.Object) error {
		return c.Set(bnb.ConfigKey, bnb.Config(double, compute))
	})
}

// floatsOf are the values of a tensor to be written.
func floatsOf(t safetensors.Tensor) ([]float32, error) {
	var b bytes.Buffer
	if err := t.Stream(io.Writer(&b)); err != nil {
		return nil, err
	}
	values := make([]float32, b.Len()/t.DType.Size())
	decodeFloats(values, t.DType, b.Bytes())
	return values, nil
}

package model

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

// Source is where weights are read from: a checkpoint on disk.
type Source interface {
	Lookup(name string) (t safetensors.DType, shape []int, ok bool)
	// ReadAt reads bytes of a tensor, starting at a byte offset of its own.
	ReadAt(name string, dst []byte, offset int64) error
	// Names lists all tensors.
	Names() []string
}

// ignored are buffers that old checkpoints carry.
func ignored(name string) bool { return strings.HasSuffix(name, "rotary_emb.inv_freq") }

// Check compares a checkpoint with what the config asks for: missing, extra
// and misshapen tensors, the first five of each by name.
func (m *Model) Check(s Source) error {
	want := map[string][]int{}
	var missing, wrong, extra []string
	for _, p := range m.base {
		name, shape, ok := m.lookup(s, p.Name)
		want[name] = p.Shape
		if !ok {
			missing = append(missing, p.Name)
		} else if !slices.Equal(shape, p.Shape) {
			return failure.Data("%s has shape %v in the checkpoint, config.json asks for %v", name, shape, p.Shape)
		}
		if dtype, _, _ := s.Lookup(name); ok && decoder(dtype) == nil {
			wrong = append(wrong, fmt.Sprintf("%s (%s)", name, dtype))
		}
	}
	for _, n := range s.Names() {
		if _, ok := want[n]; !ok && !ignored(n) && !(m.Config.Tied && n == "lm_head.weight") && !slices.ContainsFunc(m.unused, func(u string) bool { return strings.HasPrefix(n, u) }) {
			extra = append(extra, n)
		}
	}
	switch {
	case len(missing) > 0:
		return failure.Data("the checkpoint lacks %d tensors that config.json asks for: %s", len(missing), first(missing))
	case len(wrong) > 0:
		return failure.Data("%d tensors have a type that is not read (want F32, BF16 or F16): %s", len(wrong), first(wrong))
	case len(extra) > 0:
		return failure.Data("the checkpoint has %d tensors that config.json has no place for: %s", len(extra), first(extra))
	}
	return nil
}

// lookup finds a tensor under one of its names.
func (m *Model) lookup(s Source, name string) (string, []int, bool) {
	for _, n := range aliases(name) {
		if _, shape, ok := s.Lookup(n); ok {
			return n, shape, true
		}
	}
	return name, nil, false
}

// Canonical gives the parameter that a tensor of a checkpoint is, under the
// name that transformers' classes have for it.
func (m *Model) Canonical(s Source, name string) (string, bool) {
	for _, p := range m.base {
		if found, _, ok := m.lookup(s, p.Name); ok && found == name {
			return p.Name, true
		}
	}
	return "", false
}

func first(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// chunk is the number of elements that are converted at once.
const chunk = 1 << 20

// Load reads the weights of the base into their places on the device, a part
// at a time, converting types; nothing is held twice. A value that is not
// finite is an error that names the tensor. progress may be nil.
func (m *Model) Load(ctx context.Context, dev bindings.Device, s Source, progress func(done, total int64)) error {
	if len(m.base) > 0 {
		if err := m.Check(s); err != nil {
			return err
		}
	}
	total := int64(m.BaseLen())
	var done int64
	for _, p := range m.base {
		name, _, _ := m.lookup(s, p.Name)
		err := load(ctx, dev, p, s, name, func(n int) {
			done += int64(n)
			if progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func load(ctx context.Context, dev bindings.Device, p *nn.Param, s Source, name string, progress func(int)) error {
	dtype, _, _ := s.Lookup(name)
	decode, size := decoder(dtype), dtype.Size()
	n := p.Len()
	raw, values := make([]byte, min(n, chunk)*size), make([]float32, min(n, chunk))
	for at := 0; at < n; at += chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := min(chunk, n-at)
		if err := s.ReadAt(name, raw[:k*size], int64(at*size)); err != nil {
			return err
		}
		decode(values[:k], raw[:k*size])
		for i, v := range values[:k] {
			if v-v != 0 {
				return failure.Data("%s: element %d is %v; a model with such a weight can only give NaN", name, at+i, v)
			}
		}
		if err := Upload(dev, p.Value.View(at, k), values[:k]); err != nil {
			return err
		}
		progress(k)
	}
	return nil
}

// decoder gives the conversion of a file type to float32, nil if not read.
func decoder(t safetensors.DType) func(dst []float32, src []byte) {
	switch t {
	case "F32":
		return safetensors.BytesToF32
	case "BF16":
		return safetensors.BF16ToF32
	case "F16":
		return safetensors.F16ToF32
	}
	return nil
}

// Upload writes values to a tensor of any floating-point type, rounding to
// nearest even.
func Upload(dev bindings.Device, t bindings.Tensor, values []float32) error {
	return dev.Upload(t, bindings.Encode(t.DType, values))
}

// Download reads a tensor of any floating-point type.
func Download(dev bindings.Device, t bindings.Tensor) ([]float32, error) {
	raw := make([]byte, t.Bytes())
	if err := dev.Download(raw, t); err != nil {
		return nil, err
	}
	return bindings.Decode(t.DType, raw), nil
}

package model

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/bnb"
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
	want := map[string]bool{}
	var missing, wrong, extra []string
	for _, p := range m.base {
		name, shape, ok := m.lookup(s, p.Name)
		want[name] = true
		q, err := bnb.Find(s, name)
		if err != nil {
			return err
		}
		if q != nil {
			shape = q.Shape
			for _, part := range q.Parts() {
				want[part] = true
			}
		}
		if !ok {
			missing = append(missing, p.Name)
		} else if !slices.Equal(shape, p.Shape) {
			return failure.Data("%s has shape %v in the checkpoint, config.json asks for %v", name, shape, p.Shape)
		}
		if dtype, _, _ := s.Lookup(name); ok && q == nil && decoder(dtype) == nil {
			wrong = append(wrong, fmt.Sprintf("%s (%s)", name, dtype))
		}
	}
	for _, n := range s.Names() {
		if !want[n] && !ignored(n) && !(m.Config.Tied && n == "lm_head.weight") && !slices.ContainsFunc(m.unused, func(u string) bool { return strings.HasPrefix(n, u) }) {
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
	for _, n := range Names(name) {
		if _, shape, ok := s.Lookup(n); ok {
			return n, shape, true
		}
	}
	if name == "lm_head.weight" && m.Config.Tied { // after Untie
		return m.lookup(s, "model.embed_tokens.weight")
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
// at a time, converting types and quantising; nothing is held twice. planned is
// what the device was opened with: its activations are idle until a program
// runs, and are where it quantises. A value that is not finite is an error that
// names the tensor. progress may be nil.
func (m *Model) Load(ctx context.Context, dev bindings.Device, planned bindings.Plan, s Source, progress func(done, total int64)) error {
	if len(m.base) > 0 {
		if err := m.Check(s); err != nil {
			return err
		}
	}
	total := int64(m.BaseLen())
	var done int64
	l := newLoading(dev, planned, func(n int) error {
		if done += int64(n); progress != nil {
			progress(done, total)
		}
		return ctx.Err()
	})
	for _, p := range m.base {
		name, _, _ := m.lookup(s, p.Name)
		read, err := Values(s, name)
		if err != nil {
			return err
		}
		if p.Adjust != nil {
			if read, err = adjusted(p, read); err != nil {
				return err
			}
		}
		l.p, l.values = p, read
		if err := l.load(s, name); err != nil {
			return err
		}
	}
	return nil
}

// adjusted reads the whole of a tensor and changes it on its way.
func adjusted(p *nn.Param, read func(dst []float32, first int) error) (func(dst []float32, first int) error, error) {
	if p.Storage != nn.Dense {
		return nil, failure.Config("%s is stored in four bits, and method.init asks for what is left of it in more; use another init, or method.type lora", p.Name)
	}
	whole := make([]float32, p.Len())
	if err := read(whole, 0); err != nil {
		return nil, err
	}
	p.Adjust(whole)
	return func(dst []float32, first int) error {
		copy(dst, whole[first:])
		return nil
	}, nil
}

// loading is a parameter of the base on its way to its place.
type loading struct {
	dev    bindings.Device
	room   room
	p      *nn.Param
	values func(dst []float32, first int) error
	draw   func(dst bindings.Tensor) error // on the device, instead of values; may be nil
	step   func(n int) error               // is told of each part
	buffer []float32                       // chunk elements
	raw    []byte                          // and their bytes
}

func newLoading(dev bindings.Device, planned bindings.Plan, step func(n int) error) loading {
	return loading{dev: dev, room: newRoom(planned), step: step, buffer: make([]float32, chunk), raw: make([]byte, 4*chunk)}
}

func (l loading) read(dst []float32, first int) error {
	if err := l.step(len(dst)); err != nil {
		return err
	}
	return l.values(dst, first)
}

// put fills a tensor of at most chunk elements with values from one on.
func (l loading) put(dst bindings.Tensor, first int) error {
	if l.draw != nil {
		if err := l.step(dst.Len()); err != nil {
			return err
		}
		return l.draw(dst)
	}
	values := l.buffer[:dst.Len()]
	if err := l.read(values, first); err != nil {
		return err
	}
	return l.dev.Upload(dst, encoded(l.raw, dst.DType, values))
}

func (l loading) load(s Source, name string) error {
	switch {
	case l.verbatim(s, name):
		return l.bytes(s, name)
	case l.p.Storage == nn.Dense:
		return l.dense()
	}
	q, err := bnb.Find(s, name)
	switch {
	case err != nil:
		return err
	case q != nil:
		return l.quantized(q)
	}
	return l.encode()
}

func (l loading) dense() error {
	for at, n := 0, l.p.Len(); at < n; at += chunk {
		if err := l.put(l.p.Value.View(at, min(chunk, n-at)), at); err != nil {
			return err
		}
	}
	return nil
}

// Values gives a reader of a tensor's values from an element on, whatever it is
// stored in. It refuses what is not finite; parts of a four-bit matrix are
// whole blocks.
func Values(s Source, name string) (func(dst []float32, first int) error, error) {
	q, err := bnb.Find(s, name)
	if err != nil {
		return nil, err
	}
	if q != nil {
		return q.Values()
	}
	dtype, _, _ := s.Lookup(name)
	decode, size := decoder(dtype), dtype.Size()
	var raw []byte
	return func(dst []float32, first int) error {
		if decode == nil {
			return failure.Data("%s has type %s, want F32, BF16 or F16", name, dtype)
		}
		raw = slices.Grow(raw[:0], len(dst)*size)[:len(dst)*size]
		if err := s.ReadAt(name, raw, int64(first)*int64(size)); err != nil {
			return err
		}
		decode(dst, raw)
		return refuse(name, first, dst)
	}, nil
}

// Rows reads rows of a matrix of the base by the name of its parameter, one
// after another.
func (m *Model) Rows(s Source, param string, rows []int32) ([]float32, error) {
	name, shape, ok := m.lookup(s, param)
	if !ok || len(shape) != 2 {
		return nil, failure.Data("the checkpoint has no matrix %s", param)
	}
	read, err := Values(s, name)
	if err != nil {
		return nil, err
	}
	n := shape[1]
	values := make([]float32, len(rows)*n)
	for i, row := range rows {
		if row < 0 || int(row) >= shape[0] {
			return nil, failure.Data("%s has %d rows, and row %d was asked for", name, shape[0], row)
		}
		if err := read(values[i*n:(i+1)*n], int(row)*n); err != nil {
			return nil, err
		}
	}
	return values, nil
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
	return dev.Upload(t, encoded(make([]byte, int64(len(values))*t.DType.Size()), t.DType, values))
}

// encoded is bindings.Encode, into a place that is large enough for the types of
// most tensors.
func encoded(place []byte, t bindings.DType, values []float32) []byte {
	switch t {
	case bindings.F32:
		safetensors.F32ToBytes(place, values)
	case bindings.BF16:
		safetensors.F32ToBF16(place, values)
	default:
		return bindings.Encode(t, values)
	}
	return place[:len(values)*int(t.Size())]
}

// Download reads a tensor of any floating-point type.
func Download(dev bindings.Device, t bindings.Tensor) ([]float32, error) {
	raw := make([]byte, t.Bytes())
	if err := dev.Download(raw, t); err != nil {
		return nil, err
	}
	return bindings.Decode(t.DType, raw), nil
}

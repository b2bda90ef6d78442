package optest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/graftlm/graft/bindings"
)

// role is what an operation does with a tensor.
type role int

const (
	input   role = iota // read, and left alone
	output              // written; NaN before
	updated             // read and written
	scratch             // contents do not matter
)

// spec is one tensor of a case with its contents before the call.
type spec struct {
	name   string
	role   role
	slot   bindings.Tensor // with guards on both sides
	guard  int             // elements
	own    []byte          // little-endian contents; nil: poison
	values []float64       // of a float tensor that has contents
	fixed  bool            // the error bound does not vary it
	only   []int           // the elements that are compared; nil: all
}

// maker allocates the tensors of a case, for the device under test or, wide,
// for the reference. Values depend on a tensor's name and shape only, so both
// see the same numbers, and a forward and a backward case share theirs.
type maker struct {
	mem     *bindings.Memory
	profile bindings.Profile
	act     bindings.DType // of activations on the device under test
	wide    bool           // everything is F64
	guard   int
	flushes bool                 // the device has no subnormal numbers
	noise   *rand.Rand           // varies inputs, for the error bound
	values  map[string][]float64 // instead of random ones
	specs   []*spec

	terms     float64 // the longest sum
	roundings float64 // of intermediate results to the type of activations
	absolute  float64 // error that does not shrink with the result
	exact     bool    // the result is the rounded reference, bit for bit
}

// accuracy states what the error bound of bound.go is made of.
func (m *maker) accuracy(terms int, roundings float64) {
	m.terms, m.roundings = float64(terms), roundings
}

// statType is the type of statistics and parameters beside the activations.
func (m *maker) statType() bindings.DType {
	if m.act == bindings.F64 {
		return bindings.F64
	}
	return bindings.F32
}

// alloc adds a tensor between guards. Bytes keep the alignment of a slot of
// their own, which scratch and codes always have.
func (m *maker) alloc(name string, r role, dtype bindings.DType, own []byte, dims []int) (*spec, bindings.Tensor) {
	guard, n := m.guard, bindings.ShapeOf(dims...).Len()
	if dtype == bindings.U8 {
		guard = bindings.Align
	}
	s := &spec{name: name, role: r, guard: guard, own: own, slot: m.mem.Alloc(bindings.Trainable, dtype, n+2*guard)}
	m.specs = append(m.specs, s)
	return s, s.slot.View(guard, dims...)
}

// float adds a tensor of floats with contents.
func (m *maker) float(name string, r role, dtype bindings.DType, values []float64, dims []int) (*spec, bindings.Tensor) {
	if over, ok := m.values[name]; ok {
		values = over
	}
	values = slices.Clone(values)
	for i, v := range values {
		values[i] = roundTo(dtype, v)
		if m.noise != nil {
			values[i] *= m.factor()
		}
	}
	if m.wide {
		dtype = bindings.F64
	}
	s, t := m.alloc(name, r, dtype, encode(dtype, values), dims)
	s.values = values
	return s, t
}

// factor is a random factor 1 ± delta, of variance delta².
func (m *maker) factor() float64 { return 1 + (2*m.noise.Float64()-1)*math.Sqrt(3)*delta }

// in is an activation that is read; change is one that is read and written.
func (m *maker) in(name string, dims ...int) bindings.Tensor {
	_, t := m.float(name, input, m.act, normal(name, dims), dims)
	return t
}

func (m *maker) change(name string, dims ...int) bindings.Tensor {
	_, t := m.float(name, updated, m.act, normal(name, dims), dims)
	return t
}

// out is an activation that is written.
func (m *maker) out(name string, dims ...int) bindings.Tensor { return m.result(name, m.act, dims) }

// stat is a float32 input, sum one that is added to, outStat one that is written.
func (m *maker) stat(name string, dims ...int) bindings.Tensor {
	_, t := m.float(name, input, m.statType(), normal(name, dims), dims)
	return t
}

func (m *maker) sum(name string, dims ...int) bindings.Tensor {
	_, t := m.float(name, updated, m.statType(), normal(name, dims), dims)
	return t
}

func (m *maker) outStat(name string, dims ...int) bindings.Tensor {
	return m.result(name, m.statType(), dims)
}

func (m *maker) result(name string, dtype bindings.DType, dims []int) bindings.Tensor {
	if m.wide {
		dtype = bindings.F64
	}
	_, t := m.alloc(name, output, dtype, nil, dims)
	return t
}

// param is a float32 parameter of a product: the device rounds it to the type
// of activations where it uses it, so the reference is given rounded values.
func (m *maker) param(name string, dims ...int) bindings.Tensor {
	values := normal(name, dims)
	if m.wide {
		for i, v := range values {
			values[i] = roundTo(m.act, roundTo(m.statType(), v))
		}
	}
	_, t := m.float(name, input, m.statType(), values, dims)
	return t
}

// given is a float input with these values, which the bound does not vary.
func (m *maker) given(name string, r role, dtype bindings.DType, values []float64, dims ...int) bindings.Tensor {
	noise := m.noise
	m.noise = nil
	s, t := m.float(name, r, dtype, values, dims)
	m.noise, s.fixed = noise, true
	return t
}

// saved is a float input that a forward pass computed.
func (m *maker) saved(name string, dtype bindings.DType, values []float64, dims ...int) bindings.Tensor {
	_, t := m.float(name, input, dtype, values, dims)
	return t
}

// number is a constant of the program, which crosses to a device as a float32
// and is varied as an input is.
func (m *maker) number(x float64) float64 {
	if m.noise != nil {
		x *= m.factor()
	}
	return x
}

func (m *maker) ints(name string, values []int32, dims ...int) bindings.Tensor {
	_, t := m.alloc(name, input, bindings.I32, bindings.EncodeInts(values), dims)
	return t
}

func (m *maker) outInts(name string, dims ...int) bindings.Tensor {
	_, t := m.alloc(name, output, bindings.I32, nil, dims)
	return t
}

func (m *maker) seed() bindings.Tensor {
	_, t := m.alloc("seed", input, bindings.U32, bindings.EncodeInts([]uint32{7, 11, 3, 1}), []int{4})
	return t
}

func (m *maker) bytes(name string, values []byte, dims ...int) bindings.Tensor {
	_, t := m.alloc(name, input, bindings.U8, values, dims)
	return t
}

func (m *maker) changeBytes(name string, values []byte, dims ...int) bindings.Tensor {
	_, t := m.alloc(name, updated, bindings.U8, values, dims)
	return t
}

// scratch is that of the device's formula; the reference device gets its own.
func (m *maker) scratch(n int) bindings.Tensor {
	if n == 0 {
		return bindings.Tensor{}
	}
	_, t := m.alloc("scratch", scratch, bindings.U8, nil, []int{n})
	return t
}

// before is the whole slot as it is uploaded.
func (s *spec) before() []byte {
	all := bytes.Repeat([]byte{0xff}, int(s.slot.Bytes()))
	copy(all[s.guard*int(s.slot.DType.Size()):], s.own)
	return all
}

// intact checks guards, and an input itself; it returns the tensor's bytes.
func (s *spec) intact(after []byte) ([]byte, error) {
	before, g := s.before(), s.guard*int(s.slot.DType.Size())
	n := len(after) - g
	if !bytes.Equal(after[:g], before[:g]) || !bytes.Equal(after[n:], before[n:]) {
		return nil, fmt.Errorf("%s: written beyond its end or before its start", s.name)
	}
	if s.role == input && !bytes.Equal(after, before) {
		return nil, fmt.Errorf("%s: an input was written", s.name)
	}
	return after[g:n], nil
}

// normal gives numbers that depend on nothing but name and shape.
func normal(name string, dims []int) []float64 {
	h := fnv.New64a()
	fmt.Fprint(h, name, dims)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	values := make([]float64, bindings.ShapeOf(dims...).Len())
	for i := range values {
		values[i] = r.NormFloat64()
	}
	return values
}

// roundTo is v as a tensor of that type holds it.
func roundTo(t bindings.DType, v float64) float64 {
	switch t {
	case bindings.F32:
		return float64(float32(v))
	case bindings.BF16:
		return float64(bindings.BF16ToFloat(bindings.FloatToBF16(float32(v))))
	}
	return v
}

func encode(t bindings.DType, values []float64) []byte {
	if t == bindings.F64 {
		b := make([]byte, 0, 8*len(values))
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return b
	}
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	return bindings.Encode(t, narrow)
}

func decode(t bindings.DType, b []byte) []float64 {
	n := len(b) / int(t.Size())
	values := make([]float64, n)
	switch t {
	case bindings.F64:
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case bindings.U8:
		for i := range values {
			values[i] = float64(b[i])
		}
	case bindings.I32, bindings.U32:
		for i := range values {
			values[i] = float64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		}
	default:
		for i, v := range bindings.Decode(t, b) {
			values[i] = float64(v)
		}
	}
	return values
}

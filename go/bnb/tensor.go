package bnb

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
)

// Source is a checkpoint.
type Source interface {
	Lookup(name string) (t safetensors.DType, shape []int, ok bool)
	ReadAt(name string, dst []byte, offset int64) error
}

// Ends of the names of a matrix's parts.
const (
	absmaxPart    = ".absmax"
	mapPart       = ".quant_map"
	nestedPart    = ".nested_absmax"
	nestedMapPart = ".nested_quant_map"
	statePart     = ".quant_state.bitsandbytes__nf4"
	fp4Part       = ".quant_state.bitsandbytes__fp4"
)

// maxState bounds the JSON of a quant state; that of bitsandbytes has 200 bytes.
const maxState = 4096

// IsState reports whether a tensor is the quant state of a four-bit matrix.
func IsState(name string) bool { return strings.HasSuffix(name, statePart) }

// state is the JSON of a quant state.
type state struct {
	QuantType       string   `json:"quant_type"`
	BlockSize       int      `json:"blocksize"`
	DType           string   `json:"dtype"`
	Shape           []int    `json:"shape"`
	NestedBlockSize int      `json:"nested_blocksize,omitempty"`
	NestedDType     string   `json:"nested_dtype,omitempty"`
	NestedOffset    *float64 `json:"nested_offset,omitempty"`
}

// Tensor is a four-bit matrix of a checkpoint.
type Tensor struct {
	Name   string
	Shape  []int  // [out, in]
	Double bool   // its scales are quantised in turn
	DType  string // of the matrix that was quantised, as torch calls it
	// Decode is quant.Decode somewhere else than on the host; may be nil.
	Decode func(values []float32, codes []byte, scales []float32) error

	from   Source
	offset float32
}

// Find gives the four-bit matrix of that name, nil if the tensor is not there
// or not quantised. Every part of it is checked but the contents of the scales.
func Find(s Source, name string) (*Tensor, error) {
	if _, _, ok := s.Lookup(name + fp4Part); ok {
		return nil, failure.Data("%s is quantised as fp4; graft reads nf4 alone, use the 16-bit checkpoint", name)
	}
	dtype, shape, ok := s.Lookup(name + statePart)
	if !ok {
		return nil, nil
	}
	size := bytesOf(dtype, shape)
	if dtype != safetensors.U8 || size < 2 || size > maxState {
		return nil, failure.Data("%s has type %s and shape %v, want U8 and at most %d", name+statePart, dtype, shape, maxState)
	}
	raw := make([]byte, size)
	if err := s.ReadAt(name+statePart, raw, 0); err != nil {
		return nil, err
	}
	var st state
	if err := json.Unmarshal(raw, &st); err != nil {
		return nil, failure.Data("%s: %w", name+statePart, err)
	}
	t := &Tensor{Name: name, Shape: st.Shape, DType: st.DType, Double: st.NestedOffset != nil, from: s}
	if err := t.check(st); err != nil {
		return nil, err
	}
	return t, nil
}

// All gives the four-bit matrices among tensors of a source, in their order, and
// the names of the tensors that they consist of.
func All(s Source, tensors []safetensors.Info) (all []*Tensor, parts map[string]bool, err error) {
	parts = map[string]bool{}
	for _, info := range tensors {
		t, err := Find(s, info.Name)
		if err != nil {
			return nil, nil, err
		}
		if t == nil {
			continue
		}
		all = append(all, t)
		for _, part := range t.Parts() {
			parts[part] = true
		}
	}
	return all, parts, nil
}

// check holds the parts to each other.
func (t *Tensor) check(st state) error {
	where := t.Name + statePart
	const most = 1 << 24
	switch {
	case st.QuantType != "nf4":
		return failure.Data("%s: quant_type is %q, want \"nf4\"", where, st.QuantType)
	case st.BlockSize != bindings.NF4Block:
		return failure.Data("%s: blocksize is %d, graft reads %d", where, st.BlockSize, bindings.NF4Block)
	case len(st.Shape) != 2 || st.Shape[0] < 1 || st.Shape[1] < 1 || st.Shape[0] > most || st.Shape[1] > most:
		return failure.Data("%s: shape is %v, want that of a matrix", where, st.Shape)
	case st.Shape[1]%bindings.NF4Block != 0:
		return failure.Data("%s: shape is %v; graft reads rows of whole blocks of %d", where, st.Shape, bindings.NF4Block)
	case t.Double && st.NestedBlockSize != bindings.NestedBlock:
		return failure.Data("%s: nested_blocksize is %d, graft reads %d", where, st.NestedBlockSize, bindings.NestedBlock)
	case t.Double && st.NestedDType != "float32":
		return failure.Data("%s: nested_dtype is %q, want \"float32\"", where, st.NestedDType)
	}
	n := st.Shape[0] * st.Shape[1]
	dtype, shape, ok := t.from.Lookup(t.Name)
	if !ok || bytesOf(dtype, shape) != int64(n/2) {
		return failure.Data("%s has type %s and shape %v; %v in four bits is %d bytes", t.Name, dtype, shape, st.Shape, n/2)
	}
	blocks := n / bindings.NF4Block
	scales := safetensors.F32
	if t.Double {
		scales = safetensors.U8
		t.offset = float32(*st.NestedOffset)
		if math.IsInf(float64(t.offset), 0) {
			return failure.Data("%s: nested_offset is %v", where, *st.NestedOffset)
		}
		if err := t.part(nestedPart, safetensors.F32, nestedBlocks(blocks)); err != nil {
			return err
		}
		if err := t.table(nestedMapPart, quant.Signed[:]); err != nil {
			return err
		}
	}
	if err := t.part(absmaxPart, scales, blocks); err != nil {
		return err
	}
	return t.table(mapPart, quant.Values[:])
}

func nestedBlocks(blocks int) int { return (blocks + bindings.NestedBlock - 1) / bindings.NestedBlock }

// part checks type and size of one part.
func (t *Tensor) part(end string, want safetensors.DType, n int) error {
	dtype, shape, ok := t.from.Lookup(t.Name + end)
	switch {
	case !ok:
		return failure.Data("%s is quantised, and %s is missing", t.Name, t.Name+end)
	case dtype != want || !slices.Equal(shape, []int{n}):
		return failure.Data("%s has type %s and shape %v, want %s [%d]: the quantisation is damaged, or of another block size", t.Name+end, dtype, shape, want, n)
	}
	return nil
}

// table checks that the values of codes are those that devices have built in.
func (t *Tensor) table(end string, want []float32) error {
	if err := t.part(end, safetensors.F32, len(want)); err != nil {
		return err
	}
	got, err := t.floats(end, len(want))
	if err != nil {
		return err
	}
	for i, v := range want {
		if got[i] != v {
			return failure.Data("%s: value %d is %v, that of bitsandbytes' map is %v", t.Name+end, i, got[i], v)
		}
	}
	return nil
}

func (t *Tensor) floats(end string, n int) ([]float32, error) {
	raw := make([]byte, 4*n)
	if err := t.from.ReadAt(t.Name+end, raw, 0); err != nil {
		return nil, err
	}
	values := make([]float32, n)
	safetensors.BytesToF32(values, raw)
	return values, nil
}

// Codes fills dst with bytes of the codes from an offset on.
func (t *Tensor) Codes(dst []byte, offset int64) error { return t.from.ReadAt(t.Name, dst, offset) }

// Scales reads the scales, and leaves the codes of the result out.
func (t *Tensor) Scales() (w quant.NF4, err error) {
	blocks := t.Shape[0] * t.Shape[1] / bindings.NF4Block
	checked := absmaxPart
	if t.Double {
		w.Offset, checked = t.offset, nestedPart
		w.AbsmaxCodes = make([]byte, blocks)
		if err = t.from.ReadAt(t.Name+absmaxPart, w.AbsmaxCodes, 0); err != nil {
			return w, err
		}
		w.Nested, err = t.floats(nestedPart, nestedBlocks(blocks))
	} else {
		w.Absmax, err = t.floats(absmaxPart, blocks)
	}
	for i, v := range append(w.Absmax, w.Nested...) {
		if v-v != 0 {
			return w, failure.Data("%s: element %d is %v", t.Name+checked, i, v)
		}
	}
	return w, err
}

// Values gives a reader of the decoded values from an element on, whole blocks
// at a time.
func (t *Tensor) Values() (func(dst []float32, first int) error, error) {
	w, err := t.Scales()
	if err != nil {
		return nil, err
	}
	scales, decode := w.Scales(), t.Decode
	var codes []byte
	return func(dst []float32, first int) error {
		codes = slices.Grow(codes[:0], len(dst)/2)[:len(dst)/2]
		if err := t.Codes(codes, int64(first/2)); err != nil {
			return err
		}
		some := scales[first/bindings.NF4Block : (first+len(dst))/bindings.NF4Block]
		if decode != nil {
			return decode(dst, codes, some)
		}
		quant.Decode(dst, codes, some)
		return nil
	}, nil
}

// Parts names the tensors that belong to a matrix, its own name among them.
func (t *Tensor) Parts() []string {
	ends := []string{"", absmaxPart, mapPart, statePart}
	if t.Double {
		ends = append(ends, nestedPart, nestedMapPart)
	}
	for i, e := range ends {
		ends[i] = t.Name + e
	}
	return ends
}

func bytesOf(t safetensors.DType, shape []int) int64 {
	n := int64(t.Size())
	for _, d := range shape {
		n *= int64(d)
	}
	return n
}

package bnb

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/go/safetensors"
)

// Matrix is a matrix to be quantised. Its values are read a part at a time,
// from a first element on, so that it never exists whole.
type Matrix struct {
	Name  string
	Shape []int  // [out, in], in a multiple of bindings.NF4Block
	DType string // of the values, as torch calls it: "bfloat16"
	Read  func(dst []float32, first int) error
	// Encode is quant.Encode somewhere else than on the host's cores; may be nil.
	Encode func(codes []byte, absmax, values []float32) error
}

// chunk is the number of values that are quantised at once.
const chunk = 1 << 20

// Quantize hands out the codes, part after part, and then gives the scales.
func (m Matrix) Quantize(write func(codes []byte) error) (absmax []float32, err error) {
	n := m.Shape[0] * m.Shape[1]
	encode := m.Encode
	if encode == nil {
		encode = encodeOnHost
	}
	absmax = make([]float32, n/bindings.NF4Block)
	values, codes := make([]float32, min(n, chunk)), make([]byte, min(n, chunk)/2)
	for at := 0; at < n; at += chunk {
		k := min(chunk, n-at)
		if err := m.Read(values[:k], at); err != nil {
			return nil, err
		}
		if err := encode(codes[:k/2], absmax[at/bindings.NF4Block:(at+k)/bindings.NF4Block], values[:k]); err != nil {
			return nil, err
		}
		if err := write(codes[:k/2]); err != nil {
			return nil, err
		}
	}
	return absmax, nil
}

// encodeOnHost is quant.Encode on all cores.
func encodeOnHost(codes []byte, absmax, values []float32) error {
	const share = 1 << 10 // blocks
	var wait sync.WaitGroup
	for b := 0; b < len(absmax); b += share {
		end := min(b+share, len(absmax))
		wait.Go(func() {
			quant.Encode(codes[b*bindings.NF4Block/2:end*bindings.NF4Block/2], absmax[b:end], values[b*bindings.NF4Block:end*bindings.NF4Block])
		})
	}
	wait.Wait()
	return nil
}

// Tensors are the parts of the quantised matrix as they go into a checkpoint.
// The values are read once for the scales, and again when the codes are
// written: the header of a file, which has the length of the quant state, comes
// before both.
func (m Matrix) Tensors(double bool) ([]safetensors.Tensor, error) {
	absmax, err := m.Quantize(func([]byte) error { return nil })
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`{"quant_type": "nf4", "blocksize": %d, "dtype": %q, "shape": [%d, %d]`, bindings.NF4Block, m.DType, m.Shape[0], m.Shape[1])
	parts := []safetensors.Tensor{m.floats(mapPart, quant.Values[:])}
	if double {
		codes, nested, offset := quant.Double(absmax)
		text += fmt.Sprintf(`, "nested_blocksize": %d, "nested_dtype": "float32", "nested_offset": %s`, bindings.NestedBlock, python(offset))
		parts = append(parts, m.bytes(absmaxPart, codes), m.floats(nestedPart, nested), m.floats(nestedMapPart, quant.Signed[:]))
	} else {
		parts = append(parts, m.floats(absmaxPart, absmax))
	}
	return append(parts, m.bytes(statePart, []byte(text+"}")), safetensors.Tensor{
		Name: m.Name, DType: safetensors.U8, Shape: []int{m.Shape[0] * m.Shape[1] / 2, 1},
		Stream: func(to io.Writer) error {
			_, err := m.Quantize(func(codes []byte) error {
				_, err := to.Write(codes)
				return err
			})
			return err
		},
	}), nil
}

// python is a number as Python's json spells it: the exponent of a float64 with
// two digits at least, and a point where there is no exponent.
func python(x float32) string {
	s := fmt.Sprint(float64(x))
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func (m Matrix) bytes(end string, data []byte) safetensors.Tensor {
	return safetensors.Tensor{Name: m.Name + end, DType: safetensors.U8, Shape: []int{len(data)}, Data: data}
}

func (m Matrix) floats(end string, values []float32) safetensors.Tensor {
	b := make([]byte, 4*len(values))
	safetensors.F32ToBytes(b, values)
	return safetensors.Tensor{Name: m.Name + end, DType: safetensors.F32, Shape: []int{len(values)}, Data: b}
}

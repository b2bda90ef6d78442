package bindings

import (
	"encoding/binary"
	"fmt"
	"math"
)

// FloatToBF16 rounds to nearest even; a NaN stays one.
func FloatToBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if f != f {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// BF16ToFloat is exact.
func BF16ToFloat(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// Encode gives the bytes of a tensor of a floating-point type, rounded to
// nearest even.
func Encode(t DType, values []float32) []byte {
	b := make([]byte, int64(len(values))*t.Size())
	switch t {
	case F32:
		for i, v := range values {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
	case BF16:
		for i, v := range values {
			binary.LittleEndian.PutUint16(b[2*i:], FloatToBF16(v))
		}
	case F64:
		for i, v := range values {
			binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(float64(v)))
		}
	default:
		panic(fmt.Sprintf("bindings: %s is no floating-point type", t))
	}
	return b
}

// Decode reads the bytes of a tensor of a floating-point type as float32.
func Decode(t DType, b []byte) []float32 {
	f := make([]float32, int64(len(b))/t.Size())
	for i := range f {
		switch t {
		case F32:
			f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		case BF16:
			f[i] = BF16ToFloat(binary.LittleEndian.Uint16(b[2*i:]))
		case F64:
			f[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		default:
			panic(fmt.Sprintf("bindings: %s is no floating-point type", t))
		}
	}
	return f
}

// EncodeInts gives the bytes of an i32 or u32 tensor.
func EncodeInts[T int32 | uint32](values []T) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

package model

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/stretchr/testify/require"
)

func TestFiniteSeesEveryExponent(t *testing.T) {
	for b := range 1 << 16 {
		alone := make([]byte, 22)
		for at := 0; at < 22; at += 2 { // each lane, and the rest
			clear(alone)
			binary.LittleEndian.PutUint16(alone[at:], uint16(b))
			v := float64(bindings.BF16ToFloat(uint16(b)))
			require.Equal(t, !math.IsNaN(v) && !math.IsInf(v, 0), finite(bindings.BF16, alone), "%04x at %d", b, at)
		}
	}
	for _, bits := range []uint32{0, 1, 0x80000000, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff} {
		for at := 0; at < 12; at += 4 {
			alone := make([]byte, 12)
			binary.LittleEndian.PutUint32(alone[at:], bits)
			v := float64(math.Float32frombits(bits))
			require.Equal(t, !math.IsNaN(v) && !math.IsInf(v, 0), finite(bindings.F32, alone), "%08x at %d", bits, at)
		}
	}
	require.EqualError(t, refuse("w", 5, []float32{1, float32(math.Inf(-1))}), "w: element 6 is -Inf; a model with such a weight can only give NaN")
}

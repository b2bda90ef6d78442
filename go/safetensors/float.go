package safetensors

import (
	"encoding/binary"
	"math"
)

// BF16ToF32 widens len(dst) little-endian bfloat16 values; exact.
func BF16ToF32(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// F32ToBF16 rounds to the nearest bfloat16, ties to even. A NaN stays a quiet
// NaN of the same sign.
func F32ToBF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, v := range src {
		b := math.Float32bits(v)
		h := uint16((b + 0x7fff + b>>16&1) >> 16)
		if v != v {
			h = uint16(b>>16) | 0x40
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
}

// F16ToF32 widens len(dst) little-endian IEEE binary16 values; exact.
func F16ToF32(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		h := uint32(binary.LittleEndian.Uint16(src[2*i:]))
		sign, rest := h>>15<<31, h&0x7fff
		switch {
		case rest >= 0x7c00: // infinity and NaN
			dst[i] = math.Float32frombits(sign | 0x7f800000 | rest&0x3ff<<13)
		case rest >= 0x400:
			dst[i] = math.Float32frombits(sign | (rest<<13 + (127-15)<<23))
		default: // subnormal: a multiple of 2^-24
			dst[i] = math.Float32frombits(sign | math.Float32bits(float32(rest)*0x1p-24))
		}
	}
}

// F32ToF16 rounds to the nearest binary16, ties to even; what exceeds its range
// becomes an infinity. A NaN stays a quiet NaN of the same sign.
func F32ToF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, v := range src {
		b := math.Float32bits(v)
		sign, rest := uint16(b>>31<<15), b&0x7fffffff
		var h uint16
		switch {
		case rest > 0x7f800000:
			h = 0x7e00 | uint16(rest>>13&0x3ff)
		case rest >= 0x477ff000: // 65520, half way beyond the largest
			h = 0x7c00
		case rest >= 0x38800000: // normal: 2^-14 and above
			h = uint16((rest - (127-15)<<23 + 0xfff + rest>>13&1) >> 13)
		default: // adding 0.5 leaves multiples of 2^-24 in the low bits, rounded to even
			h = uint16(math.Float32bits(math.Float32frombits(rest)+0.5) - math.Float32bits(0.5))
		}
		binary.LittleEndian.PutUint16(dst[2*i:], sign|h)
	}
}

// F32ToBytes lays values out as little-endian float32.
func F32ToBytes(dst []byte, src []float32) {
	dst = dst[:4*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

// BytesToF32 reads len(dst) little-endian float32 values.
func BytesToF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

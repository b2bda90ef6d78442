package safetensors_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/require"
)

// small is a 16-bit float format, defined here by its arithmetic alone.
type small struct {
	name             string
	exponent, digits int // bits of exponent and of fraction
	widen            func([]float32, []byte)
	narrow           func([]byte, []float32)
}

var smalls = []small{
	{"bf16", 8, 7, safetensors.BF16ToF32, safetensors.F32ToBF16},
	{"f16", 5, 10, safetensors.F16ToF32, safetensors.F32ToF16},
}

// value is the number that bits stand for, in float64.
func (s small) value(bits uint16) float64 {
	bias := 1<<(s.exponent-1) - 1
	e, f := int(bits)>>s.digits&(1<<s.exponent-1), float64(int(bits)&(1<<s.digits-1))
	v := math.Ldexp(f, 1-bias-s.digits)
	switch {
	case e == 1<<s.exponent-1 && f == 0:
		v = math.Inf(1)
	case e == 1<<s.exponent-1:
		v = math.NaN()
	case e > 0:
		v = math.Ldexp(f+math.Ldexp(1, s.digits), e-bias-s.digits)
	}
	if bits>>15 == 1 {
		v = -v
	}
	return v
}

// All 65536 patterns, both ways.
func TestEverySmallFloat(t *testing.T) {
	for _, s := range smalls {
		t.Run(s.name, func(t *testing.T) {
			for bits := range 1 << 16 {
				raw := binary.LittleEndian.AppendUint16(nil, uint16(bits))
				wide := make([]float32, 1)
				s.widen(wide, raw)
				want := s.value(uint16(bits))
				back := make([]byte, 2)
				s.narrow(back, wide)
				if math.IsNaN(want) {
					require.True(t, math.IsNaN(float64(wide[0])), "%04x", bits)
					require.True(t, math.IsNaN(s.value(binary.LittleEndian.Uint16(back))), "%04x", bits)
					require.Equal(t, raw[1]&0x80, back[1]&0x80, "sign of a NaN")
					continue
				}
				require.Equal(t, math.Float32bits(float32(want)), math.Float32bits(wide[0]), "%04x", bits)
				require.Equal(t, raw, back, "%04x", bits)
			}
		})
	}
}

// Every pair of neighbours: half way goes to the even one, and either side of
// half way to the nearer. Random float32 patterns: never farther than a
// neighbour.
func TestRoundsToNearestEven(t *testing.T) {
	for _, s := range smalls {
		t.Run(s.name, func(t *testing.T) {
			narrow := func(v float32) uint16 {
				out := make([]byte, 2)
				s.narrow(out, []float32{v})
				return binary.LittleEndian.Uint16(out)
			}
			infinity := uint16((1<<s.exponent - 1) << s.digits)
			for low := uint16(0); low+1 < infinity; low++ {
				middle := float32((s.value(low) + s.value(low+1)) / 2)
				if float64(middle) != (s.value(low)+s.value(low+1))/2 {
					continue // float32 does not hold it: the lowest subnormals of bf16
				}
				require.Equal(t, low+low&1, narrow(middle), "%04x", low)
				require.Equal(t, low, narrow(math.Nextafter32(middle, 0)), "%04x", low)
				require.Equal(t, low+1, narrow(math.Nextafter32(middle, math.MaxFloat32)), "%04x", low)
				require.Equal(t, (low+low&1)|0x8000, narrow(-middle), "%04x", low)
			}
			half := math.Ldexp(1, 1<<(s.exponent-1)) - s.value(infinity-1)
			beyond := float32(s.value(infinity-1) + half/2)
			require.Equal(t, infinity, narrow(beyond), "half way beyond the largest")
			require.Equal(t, infinity-1, narrow(math.Nextafter32(beyond, 0)))
			random := rand.New(rand.NewPCG(1, 2))
			for range 100_000 {
				v := math.Float32frombits(random.Uint32())
				bits := narrow(v)
				if v != v {
					require.True(t, math.IsNaN(s.value(bits)))
					continue
				}
				if bits&0x7fff == infinity {
					require.GreaterOrEqual(t, math.Abs(float64(v)), float64(beyond))
					continue
				}
				d := math.Abs(s.value(bits) - float64(v))
				for _, other := range []uint16{bits - 1, bits + 1} {
					if (other^bits)&0x8000 == 0 && other&0x7fff < infinity {
						require.LessOrEqual(t, d, math.Abs(s.value(other)-float64(v)))
					}
				}
			}
		})
	}
}

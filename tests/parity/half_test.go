package parity_test

import (
	"math"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rounded is a float32 checkpoint with the values that bfloat16 has.
type rounded struct{ *hub.Model }

func (r rounded) ReadAt(name string, dst []byte, offset int64) error {
	if err := r.Model.ReadAt(name, dst, offset); err != nil {
		return err
	}
	v := make([]float32, len(dst)/4)
	safetensors.BytesToF32(v, dst)
	for i, x := range v {
		v[i] = roundBF16(x)
	}
	safetensors.F32ToBytes(dst, v)
	return nil
}

func roundBF16(x float32) float32 { return bindings.BF16ToFloat(bindings.FloatToBF16(x)) }

// TestBFloat16 compares the first step in bfloat16 with the one in float32 on
// the same weights. The gates are those of the whole gradient: bfloat16 has
// eight bits, and single tensors of a tiny model have few elements to average.
func TestBFloat16(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, name string) {
		s := f.setting(t, name)
		s.source = rounded{f.checkpoint(t)}
		wide, narrow := open(t, single, s), open(t, half, s)
		rows := f.Methods[name].Steps[0].Rows
		want, err := wide.Step(0, peakLR, f.packed(rows))
		require.NoError(t, err)
		got, err := narrow.Step(0, peakLR, f.packed(rows))
		require.NoError(t, err)
		assert.InEpsilon(t, want.Loss, got.Loss, 2e-2)
		assert.InEpsilon(t, want.GradNorm, got.GradNorm, 3e-2)
		var a, b []float64
		other := trained(t, narrow, gradient)
		for p, g := range trained(t, wide, gradient) {
			a, b = append(a, g...), append(b, other[p]...)
		}
		d := distance(a, b)
		assert.Less(t, d, 3e-2)
		assert.Greater(t, d, 1e-4, "nothing was computed in bfloat16")
		assert.Greater(t, cosine(a, b), 0.999)
	})
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

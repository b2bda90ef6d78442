package export

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shaped is a model with one linear layer of more values than are on a device at
// once, [5000, 1024], and an adapter of rank 3.
func shaped(t *testing.T) *model.Model {
	m := model.New(model.Config{
		Family: "llama", Hidden: 1024, Intermediate: 5000, Layers: 1, Heads: 16, KVHeads: 16, HeadDim: 64, Vocab: 64, MaxPositions: 64, NormEps: 1e-5, Windows: make([]int, 1),
	})
	require.NoError(t, lora.Config{R: 3, Alpha: 6, Targets: []string{"up_proj"}}.Attach(m, 1))
	return m
}

func normals(n int, seed uint64) []float32 {
	r, v := rand.New(rand.NewPCG(seed, 1)), make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// TestArithmetic: on a device and on the host, sums are those of float64 but for
// the roundings of a few terms, and codes and scales are bit-equal,
// as is what is decoded from them.
func TestArithmetic(t *testing.T) {
	on, err := OnDevice(native.CPU(native.Options{Threads: 2}), shaped(t))
	require.NoError(t, err)
	require.NotNil(t, on)
	const out, in, r, scale = 5000, 1024, 3, 2
	w, a, b := normals(out*in, 1), normals(r*in, 2), normals(out*r, 3)
	for _, x := range []*Arithmetic{nil, on} {
		got := append([]float32(nil), w...)
		require.NoError(t, x.AddUpdate(got, a, b, out, in, r, scale))
		for o := range out {
			for i := range in {
				want, size := float64(w[o*in+i]), math.Abs(float64(w[o*in+i]))
				for j := range r {
					p := scale * float64(b[o*r+j]) * float64(a[j*in+i])
					want, size = want+p, size+math.Abs(p)
				}
				if math.Abs(want-float64(got[o*in+i])) > (r+2)*math.Pow(2, -24)*size {
					require.Failf(t, "a sum", "at %d %d: %v, want %v", o, i, got[o*in+i], want)
				}
			}
		}
	}
	const blocks = 1000
	codes, absmax := make([]byte, blocks*32), make([]float32, blocks)
	wantCodes, wantAbsmax := make([]byte, blocks*32), make([]float32, blocks)
	require.NoError(t, on.encoder()(codes, absmax, w[:blocks*bindings.NF4Block]))
	quant.Encode(wantCodes, wantAbsmax, w[:blocks*bindings.NF4Block])
	assert.Equal(t, wantCodes, codes)
	assert.Equal(t, wantAbsmax, absmax)
	for _, double := range []bool{false, true} { // of more values than are on the device at once
		host, device := append([]float32(nil), w...), append([]float32(nil), w...)
		var none *Arithmetic
		require.NoError(t, none.requantise(host, double))
		require.NoError(t, on.requantise(device, double))
		assert.NotEqual(t, w, host)
		assert.True(t, slices.Equal(host, device), "decoded values, doubly quantised scales: %v", double)
	}
	require.NoError(t, on.Close())
	assert.Zero(t, native.Live())
}

// TestNoArithmetic: a device that compiles its programs, or is slower than the
// host, leaves the sums to the host.
func TestNoArithmetic(t *testing.T) {
	on, err := OnDevice(reference.New(reference.Float64), shaped(t))
	require.NoError(t, err)
	require.Nil(t, on)
	require.NoError(t, on.Close())
}

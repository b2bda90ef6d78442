package parity_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/adapter"
	"github.com/graftlm/graft/go/method"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// combined has the settings of make_combine.py.
var combined = map[string]adapter.Options{
	"cat": {}, "linear": {}, "svd": {Rank: 5},
	"magnitude_prune": {Density: 0.6}, "dare_linear": {Density: 0.6, Seed: 3}, "dare_ties": {Density: 0.6, Seed: 3},
	"ties": {Density: 0.6}, "ties.frequency": {Density: 0.6, Frequency: true},
}

// combine gives the tensors of four adapters combined, by the names of
// make_combine.py: after Write and Open, as a user would have them.
func combine(t *testing.T, kind string, weights [4]float64, o adapter.Options) map[string][]float64 {
	t.Helper()
	f := read(t, "llama")
	var all []adapter.Weighted
	for i, name := range []string{"qv", "loraplus", "rslora", "layers"} {
		a, err := adapter.Open(f.adapter(name, "final"))
		require.NoError(t, err)
		all = append(all, adapter.Weighted{Adapter: a, Weight: weights[i]})
	}
	way, _, _ := strings.Cut(kind, ".")
	one, err := adapter.Combine(adapter.Kind(way), all, o)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "one")
	require.NoError(t, one.Write(dir))
	one, err = adapter.Open(dir)
	require.NoError(t, err)
	tensors := map[string][]float64{}
	for _, l := range one.Layers {
		require.Equal(t, 1.0, l.Scale)
		var update mat.Dense
		update.Mul(l.B, l.A)
		name := kind + "." + l.Path
		tensors[name+".update"] = update.RawMatrix().Data
		tensors[name+".lora_A"], tensors[name+".lora_B"] = l.A.RawMatrix().Data, l.B.RawMatrix().Data
	}
	return tensors
}

// TestCombine holds each way to combine to add_weighted_adapter: dare with the
// same masks. It compares what is left out too: a layer that only some adapt.
func TestCombine(t *testing.T) {
	want, err := method.ReadTensors("testdata/llama/combined.safetensors")
	require.NoError(t, err)
	weights := [4]float64{0.7, -0.4, 0.5, 0.3}
	const gate = 1e-6 // relative; PEFT sums four float32, svd of 32×40
	off := func(kind string, got map[string][]float64) (worst float64, compared int) {
		for name, w := range want {
			if strings.HasPrefix(name, kind+".model.") {
				compared++
				worst = max(worst, distance(w, got[name]))
			}
		}
		return worst, compared
	}
	for kind, o := range combined {
		t.Run(kind, func(t *testing.T) {
			got := combine(t, kind, weights, o)
			worst, compared := off(kind, got)
			assert.Less(t, worst, gate)
			if kind == "svd" {
				assert.Equal(t, len(got), 3*compared)
			} else {
				assert.Equal(t, len(got), 3*compared/2)
			}
			t.Logf("%.2g", worst)
			worse, _ := off(kind, combine(t, kind, [4]float64{0.7, 0.4, 0.5, 0.3}, o))
			assert.Greater(t, worse, 100*gate, "a sign is noticed")
		})
	}
	t.Run("masks", func(t *testing.T) {
		worse, _ := off("dare_linear", combine(t, "dare_linear", weights, adapter.Options{Density: 0.6, Seed: 4}))
		assert.Greater(t, worse, 100*gate)
	})
}

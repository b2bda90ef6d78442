package parity_test

import (
	"os"
	"path/filepath"
	"testing"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMergeOntoDecoded merges the adapter that PEFT trained on the base in four
// bits, in each way that there is, and measures the drift.
func TestMergeOntoDecoded(t *testing.T) {
	f := read(t, "qlora")
	dir := t.TempDir()
	merge := func(name, base string, change func(*graft.MergeOptions)) (graft.Merged, error) {
		o := graft.MergeOptions{
			Model: filepath.Join(f.dir, base), Adapters: []graft.Weighted{{Dir: filepath.Join(f.dir, "final.f32"), Weight: 1}}, Out: filepath.Join(dir, name),
			Samples: 4, MaxKL: 1e-3, Backend: single.open(),
		}
		change(&o)
		return graft.Merge(t.Context(), o)
	}
	dequant := func(o *graft.MergeOptions) { o.Dequantized = true }
	weights := func(name string) map[string][]float32 {
		v, err := method.ReadTensors(filepath.Join(dir, name, "model.safetensors"))
		require.NoError(t, err)
		return v
	}

	ahead, err := merge("ahead", "nf4", dequant)
	require.NoError(t, err)
	_, err = merge("loaded", ".", dequant)
	require.NoError(t, err)
	require.Equal(t, weights("ahead"), weights("loaded"), "a base quantised ahead, or for the merge")
	assert.Less(t, ahead.Drift.KL, 1e-3, "bfloat16 rounds the merged weights, and nothing else differs")
	assert.Positive(t, ahead.Drift.KL)
	assert.Greater(t, ahead.Drift.Effect, 100*ahead.Drift.KL)
	text, err := os.ReadFile(filepath.Join(dir, "ahead", "config.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "quantization_config")

	// Each merged weight is decoded W + s·B·A, rounded once: within half an ulp.
	m := model.New(f.config(t))
	_, values, err := graft.Attach(m, filepath.Join(f.dir, "final.f32"), 1)
	require.NoError(t, err)
	after := weights("ahead")
	for _, l := range m.Linears() {
		read, err := model.Values(f.quantized(t, "nf4"), l.W.Name)
		require.NoError(t, err)
		w := make([]float32, l.W.Len())
		require.NoError(t, read(w, 0))
		a := l.Adapters[0]
		av, bv, r := values[a.A.Name], values[a.B.Name], a.A.Shape[0]
		for i := range w {
			want := float64(roundBF16(w[i]))
			for k := range r {
				want += a.Scale * float64(bv[i/l.In()*r+k]) * float64(av[k*l.In()+i%l.In()])
			}
			require.InDelta(t, want, after[l.W.Name][i], 0x1p-8*max(want, -want)+1e-6, "%s[%d]", l.W.Name, i)
		}
	}

	// Onto the 16-bit weights, the model is not the one that was trained.
	_, err = merge("original", ".", func(o *graft.MergeOptions) { o.TrainedOn = model.QuantNF4 })
	require.ErrorIs(t, err, failure.ErrDrift)
	assert.Equal(t, 83, failure.Code(err))
	assert.DirExists(t, filepath.Join(dir, "original"))
	_, err = merge("wrong", "nf4", func(*graft.MergeOptions) {})
	require.ErrorIs(t, err, failure.ErrUsage)
	assert.NoDirExists(t, filepath.Join(dir, "wrong"))

	// In four bits again, most of a small update is gone.
	small := func(o *graft.MergeOptions) { o.Dequantized, o.NF4, o.Adapters[0].Weight, o.MaxKL = true, true, 0.05, 1 }
	tiny, err := merge("tiny", "nf4", small)
	require.NoError(t, err)
	large, err := merge("large", "nf4", func(o *graft.MergeOptions) { small(o); o.Adapters[0].Weight = 1 })
	require.NoError(t, err)
	assert.Less(t, tiny.Survival.Kept, 0.3)
	assert.Greater(t, large.Survival.Kept, 0.5)
	assert.Less(t, tiny.Survival.Size, large.Survival.Size)
	base, err := graft.OpenBase(filepath.Join(dir, "large"), "auto")
	require.NoError(t, err)
	defer base.Close()
	assert.True(t, base.Quantized())
}

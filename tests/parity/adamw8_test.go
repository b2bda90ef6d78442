package parity_test

import (
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAdamW8 takes ten steps with moments in eight bits beside bitsandbytes'
// maps in PyTorch. Codes agree but where a moment is within rounding of the
// middle between two.
func TestAdamW8(t *testing.T) {
	f, err := safetensors.Open("testdata/qlora/adamw8.safetensors")
	require.NoError(t, err)
	defer f.Close()
	raw := func(name string) []byte {
		info, ok := f.Info(name)
		require.True(t, ok, name)
		b := make([]byte, info.Bytes())
		require.NoError(t, f.ReadAt(name, b, 0))
		return b
	}
	gradients := raw("gradients")
	n := len(raw("p.initial")) / 4
	steps, blocks := len(gradients)/4/n, (n+bindings.StateBlock-1)/bindings.StateBlock

	mem := bindings.NewMemory()
	alloc := func(d bindings.DType, n int) bindings.Tensor { return mem.Alloc(bindings.Trainable, d, n) }
	p, g, m, v := alloc(bindings.F32, n), alloc(bindings.F32, n), alloc(bindings.U8, n), alloc(bindings.U8, n)
	mScale, vScale := alloc(bindings.F32, blocks), alloc(bindings.F32, blocks)
	norm, lr := alloc(bindings.F32, 4), alloc(bindings.F32, 1)
	dev, err := single.open().Open(mem.Peak())
	require.NoError(t, err)
	defer dev.Close()
	upload := func(to bindings.Tensor, data []byte) { require.NoError(t, dev.Upload(to, data)) }
	upload(p, raw("p.initial"))
	for _, x := range []bindings.Tensor{m, v, mScale, vScale} {
		upload(x, make([]byte, x.Bytes()))
	}
	upload(lr, bindings.Encode(bindings.F32, []float32{1e-2}))
	h := bindings.AdamWHyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, LRScale: 1}
	run, err := dev.Prepare("adamw8", func(ops bindings.Ops) { ops.AdamW8(p, m, v, mScale, vScale, g, norm, lr, h) })
	require.NoError(t, err)
	defer run.Close()
	for i := range steps {
		upload(g, gradients[4*n*i:4*n*(i+1)])
		upload(norm, bindings.Encode(bindings.F32, []float32{1, 1, 1, float32(i + 1)}))
		require.NoError(t, run.Launch())
	}
	got := func(x bindings.Tensor) []byte {
		b := make([]byte, x.Bytes())
		require.NoError(t, dev.Download(b, x))
		return b
	}
	floats := func(b []byte) []float32 { return bindings.Decode(bindings.F32, b) }
	assert.Less(t, distance(floats(raw("p")), floats(got(p))), 1e-4)
	assert.Less(t, distance(floats(raw("m.scale")), floats(got(mScale))), 1e-4)
	assert.Less(t, distance(floats(raw("v.scale")), floats(got(vScale))), 1e-4)
	for name, x := range map[string]bindings.Tensor{"m": m, "v": v} {
		other := 0
		for i, c := range raw(name) {
			if d := int(c) - int(got(x)[i]); d != 0 {
				other++
				assert.LessOrEqual(t, max(d, -d), 1, "%s[%d]", name, i)
			}
		}
		assert.LessOrEqual(t, other, n/100, name)
		t.Logf("%s: %d of %d codes are neighbours", name, other, n)
	}
}

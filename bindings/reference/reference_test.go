package reference

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

// lab is a few tensors on a device of a precision.
func lab(t *testing.T, p Precision, dtype bindings.DType) (d bindings.Device, x, ids bindings.Tensor) {
	m := bindings.NewMemory()
	x, ids = m.Alloc(bindings.Trainable, dtype, 2, 2), m.Alloc(bindings.Staging, bindings.I32, 1)
	d, err := New(p).Open(m.Peak())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()); assert.NoError(t, d.Close()) })
	return d, x, ids
}

func launch(t *testing.T, d bindings.Device, program func(bindings.Ops)) error {
	p, err := d.Prepare("test", program)
	require.NoError(t, err)
	return p.Launch()
}

func TestFirstFailureIsKept(t *testing.T) {
	d, x, ids := lab(t, Float32, bindings.F32)
	one := bindings.Encode(bindings.F32, []float32{1, 1, 1, 1})
	require.NoError(t, d.Upload(x, one))
	require.NoError(t, d.Upload(ids, bindings.EncodeInts([]int32{2})))
	program := func(o bindings.Ops) {
		o.EmbeddingBackward(x, x.RowRange(0, 1), ids) // overlaps
		o.Zero(x)
	}
	var failure *bindings.OpError
	require.ErrorAs(t, launch(t, d, program), &failure)
	assert.Equal(t, "embedding_backward", failure.Op)
	got := make([]byte, len(one))
	require.NoError(t, d.Download(got, x))
	assert.Equal(t, one, got, "nothing runs after a failure")

	y := x.RowRange(0, 1)
	require.ErrorContains(t, launch(t, d, func(o bindings.Ops) { o.Embedding(y, x.RowRange(1, 2), ids) }), "ids[0] is 2, want one of [0, 1)")
	require.NoError(t, launch(t, d, func(o bindings.Ops) { o.Zero(x) }), "the next launch starts afresh")
}

func TestErrors(t *testing.T) {
	_, err := New(Float32).Open(bindings.Plan{1 << 60})
	require.ErrorIs(t, err, bindings.ErrOutOfMemory)

	d, x, _ := lab(t, Float32, bindings.F64)
	err = launch(t, d, func(o bindings.Ops) { o.Add(x, x, x.RowRange(0, 2)) })
	require.Error(t, err)
	err = launch(t, d, func(o bindings.Ops) { o.Zero(x); o.SwiGLU(x.RowRange(0, 1), x.RowRange(1, 2), x.RowRange(1, 2)) })
	require.ErrorIs(t, err, bindings.ErrNotImplemented, "float64 tensors on the float32 device")
	require.Error(t, d.Upload(x, []byte{1}), "length")

	beyond := x
	beyond.First = 1 << 20
	require.ErrorContains(t, launch(t, d, func(o bindings.Ops) { o.Zero(beyond) }), "outside of the trainable arena")
	require.Error(t, d.Download(make([]byte, 32), beyond))
}

//go:build cgo

package native

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

func floats(v ...float32) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

func read(t *testing.T, d bindings.Device, x bindings.Tensor) []float32 {
	t.Helper()
	b := make([]byte, x.Bytes())
	require.NoError(t, d.Download(b, x))
	v := make([]float32, x.Len())
	_, err := binary.Decode(b, binary.LittleEndian, v)
	require.NoError(t, err)
	return v
}

func TestProgramRunsAndCloses(t *testing.T) {
	m := bindings.NewMemory()
	a := m.Alloc(bindings.Frozen, bindings.F32, 3)
	b := m.Alloc(bindings.Staging, bindings.F32, 3)
	trainable := m.Alloc(bindings.Trainable, bindings.F32, 5)
	y := m.Act(bindings.F32, 3)
	backend := CPU(Options{Threads: 2})
	t.Log(backend.Info())
	d, err := backend.Open(m.Peak())
	require.NoError(t, err)
	assert.Equal(t, 1, Live())
	assert.Equal(t, make([]float32, 5), read(t, d, trainable), "arenas start as zeros")

	require.NoError(t, d.Upload(a, floats(1, 2, 3)))
	p, err := d.Prepare("add", func(o bindings.Ops) { o.Add(y, a, b) })
	require.NoError(t, err)
	for i := range 3 { // what changes between launches is in staging
		v := float32(i)
		require.NoError(t, d.Upload(b, floats(v, 10*v, float32(math.Inf(1)))))
		require.NoError(t, p.Launch())
		assert.Equal(t, []float32{1 + v, 2 + 10*v, float32(math.Inf(1))}, read(t, d, y))
	}
	require.NoError(t, p.Close())
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	assert.Zero(t, Live())
	assert.Error(t, p.Launch())
	assert.Error(t, d.Upload(b, floats(1, 2, 3)))
}

func TestFirstFailureIsKept(t *testing.T) {
	m := bindings.NewMemory()
	table := m.Alloc(bindings.Frozen, bindings.F32, 4, 2)
	ids := m.Alloc(bindings.Staging, bindings.I32, 1)
	y := m.Act(bindings.F32, 1, 2)
	d, err := CPU(Options{Threads: 1}).Open(m.Peak())
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Upload(ids, []byte{4, 0, 0, 0}))
	p, err := d.Prepare("lookup", func(o bindings.Ops) {
		o.Embedding(y, table, ids)
		o.Zero(table)
	})
	require.NoError(t, err)
	require.NoError(t, d.Upload(table, floats(1, 2, 3, 4, 5, 6, 7, 8)))
	var failure *bindings.OpError
	require.ErrorAs(t, p.Launch(), &failure)
	assert.Equal(t, "embedding", failure.Op)
	assert.ErrorContains(t, failure, "ids[0] is 4, expected 0 to 3")
	assert.Equal(t, []float32{1, 2, 3, 4, 5, 6, 7, 8}, read(t, d, table), "nothing runs after a failure")

	require.NoError(t, d.Upload(ids, []byte{3, 0, 0, 0})) // the next launch starts afresh
	require.NoError(t, p.Launch())
	assert.Equal(t, []float32{7, 8}, read(t, d, y))
	assert.Error(t, d.Upload(ids, []byte{1}), "length")
}

func TestErrorsHaveTheirKind(t *testing.T) {
	_, err := CPU(Options{Threads: 1}).Open(bindings.Plan{1 << 60})
	assert.ErrorIs(t, err, bindings.ErrOutOfMemory)
	assert.ErrorContains(t, err, "frozen")
	assert.Zero(t, Live(), "a failed Open leaves nothing")

	t.Setenv("GRAFT_CPU_ISA", "sse9")
	_, err = CPU(Options{Threads: 1}).Open(bindings.Plan{})
	assert.ErrorContains(t, err, "sse9")
	t.Setenv("GRAFT_CPU_ISA", "")

	m := bindings.NewMemory()
	x := m.Act(bindings.F64, 4)
	d, err := CPU(Options{Threads: 1}).Open(m.Peak())
	require.NoError(t, err)
	defer d.Close()
	p, err := d.Prepare("cast", func(o bindings.Ops) { o.Cast(x, x) })
	require.NoError(t, err)
	assert.ErrorIs(t, p.Launch(), bindings.ErrNotImplemented)
}

func TestCUDALibraryThatIsNotThere(t *testing.T) {
	t.Setenv("GRAFT_CUDA_LIB", t.TempDir()+"/none.so")
	_, err := CUDA(Options{})
	require.ErrorIs(t, err, bindings.ErrUnavailable)
	assert.ErrorContains(t, err, "none.so")
}

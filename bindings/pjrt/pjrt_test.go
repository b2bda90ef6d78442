//go:build cgo && (linux || darwin)

package pjrt_test

import (
	"os"
	"testing"

	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt"
)

func plugin(t *testing.T) string {
	t.Helper()
	path := os.Getenv("GRAFT_PJRT_PLUGIN")
	if path == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	return path
}

// TestPJRTLaunches: a thousand launches leave as many buffers as the first, and
// a resident size that has not grown by a tenth of what they were given.
func TestPJRTLaunches(t *testing.T) {
	backend, err := pjrt.Open(pjrt.Options{Plugin: plugin(t)})
	require.NoError(t, err)
	const n = 1 << 20
	m := bindings.NewMemory()
	sum, staged := m.Alloc(bindings.Trainable, bindings.F32, n), m.Alloc(bindings.Staging, bindings.F32, n)
	d, err := backend.Open(m.Peak())
	require.NoError(t, err)
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	raw := bindings.Encode(bindings.F32, ones)
	p, err := d.Prepare("add", func(o bindings.Ops) { o.Add(sum, sum, staged) })
	require.NoError(t, err)
	live, before := 0, int64(0)
	for i := range 1000 {
		require.NoError(t, d.Upload(staged, raw))
		require.NoError(t, p.Launch())
		if i == 9 {
			live, before = pjrt.Live(), bounded.Resident(t)
		}
	}
	assert.Equal(t, live, pjrt.Live())
	assert.Less(t, bounded.Resident(t)-before, int64(990*len(raw)/10))
	last := make([]byte, 4)
	require.NoError(t, d.Download(last, sum.View(n-1, 1)))
	assert.Equal(t, []float32{1000}, bindings.Decode(bindings.F32, last))
	require.NoError(t, p.Close())
	require.NoError(t, d.Close())
	assert.Zero(t, pjrt.Live(), "every buffer is freed")
}

// TestPJRTRanges fills slots range by range, on another device of the plugin
// than the first if it has one.
func TestPJRTRanges(t *testing.T) {
	entries, err := pjrt.Devices(pjrt.Options{Plugin: plugin(t)})
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	backend, err := pjrt.Open(pjrt.Options{Plugin: plugin(t), Device: len(entries) - 1})
	require.NoError(t, err)
	m := bindings.NewMemory()
	frozen, staged := m.Alloc(bindings.Frozen, bindings.F32, 4, 2), m.Alloc(bindings.Staging, bindings.F32, 8)
	sum := m.Alloc(bindings.Trainable, bindings.F32, 8)
	d, err := backend.Open(m.Peak())
	require.NoError(t, err)
	fill := func(x bindings.Tensor, values ...float32) {
		t.Helper()
		require.NoError(t, d.Upload(x, bindings.Encode(bindings.F32, values)))
	}
	read := func(x bindings.Tensor) []float32 {
		t.Helper()
		raw := make([]byte, x.Bytes())
		require.NoError(t, d.Download(raw, x))
		return bindings.Decode(bindings.F32, raw)
	}
	assert.Equal(t, make([]float32, 8), read(sum), "as an arena begins")
	fill(frozen.RowRange(0, 3), 1, 2, 3, 4, 5, 6)
	fill(frozen.RowRange(3, 4), 7, 8)
	fill(staged.View(2, 2), 10, 20)
	p, err := d.Prepare("add", func(o bindings.Ops) {
		o.Add(sum.View(0, 4), frozen.RowRange(0, 2), staged.View(1, 4))
		o.Add(sum.View(4, 2), sum.View(0, 2), sum.View(6, 2))
	})
	require.NoError(t, err)
	fill(sum.View(6, 2), 0.5, 0.25)
	require.NoError(t, p.Launch())
	assert.Equal(t, []float32{1, 12, 23, 4, 1.5, 12.25, 0.5, 0.25}, read(sum))
	fill(staged.View(1, 1), 100)
	require.NoError(t, p.Launch())
	assert.Equal(t, []float32{101, 12, 23, 4, 101.5, 12.25, 0.5, 0.25}, read(sum))
	assert.Equal(t, []float32{101.5}, read(sum.View(4, 1)))
	require.NoError(t, p.Close())
	require.NoError(t, d.Close())
	assert.Zero(t, pjrt.Live(), "every buffer is freed")
}

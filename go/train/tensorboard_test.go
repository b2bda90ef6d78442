package train

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Frames, check sums and the fields that matter, read back by hand.
func TestBoardFramesRecords(t *testing.T) {
	dir := t.TempDir()
	b, err := openBoard(dir, func() time.Time { return time.Unix(1, 500_000_000) })
	require.NoError(t, err)
	loss, accuracy := 0.5, 0.25
	require.NoError(t, b.Write(Event{Step: 3, Loss: 2, EvalLoss: &loss, EvalAccuracy: &accuracy}))
	require.NoError(t, b.Close())
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	raw, err := os.ReadFile(files[0])
	require.NoError(t, err)
	records := 0
	for len(raw) > 0 {
		n := binary.LittleEndian.Uint64(raw)
		require.Equal(t, masked(raw[:8]), binary.LittleEndian.Uint32(raw[8:]))
		data := raw[12 : 12+n]
		require.Equal(t, masked(data), binary.LittleEndian.Uint32(raw[12+n:]))
		if records == 1 {
			assert.Contains(t, string(data), "train/loss\x15\x00\x00\x00\x40", "tag, then 2 as a float")
			assert.Contains(t, string(data), "eval/loss\x15\x00\x00\x00\x3f")
			assert.Equal(t, []byte{2 << 3, 3}, data[9:11], "the step")
		}
		raw = raw[16+n:]
		records++
	}
	assert.Equal(t, 2, records)
}

// CRC-32C of "123456789" is e3069283 (RFC 3720), rotated and offset by the
// rule of TFRecord.
func TestMaskedChecksum(t *testing.T) {
	c := uint32(0xe3069283)
	assert.Equal(t, (c>>15|c<<17)+0xa282ead8, masked([]byte("123456789")))
}

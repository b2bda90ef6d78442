package checkpoint_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/checkpoint"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func state(step int) *checkpoint.State {
	return &checkpoint.State{
		Step: step, Identity: map[string]string{"data": "abc"},
		Params: []checkpoint.Param{{Name: "a", Shape: []int{2, 2}}, {Name: "b", Shape: []int{1}}},
		Values: []float32{1, 2, 3, 4, 5}, Moments: []safetensors.Tensor{{Name: "exp_avg", DType: safetensors.F32, Shape: []int{5}, Data: make([]byte, 20)}, {Name: "exp_avg_codes", DType: safetensors.U8, Shape: []int{3}, Data: []byte{1, 2, 3}}},
		Report: []float32{0.5, 0, 0, 0, 1, float32(step)},
	}
}

func open(t *testing.T, keep int) *checkpoint.Store {
	s, err := checkpoint.Open(filepath.Join(t.TempDir(), "checkpoints"), keep)
	require.NoError(t, err)
	return s
}

func TestReadsWhatItWrote(t *testing.T) {
	s := open(t, 3)
	path, err := s.Save(state(7), nil)
	require.NoError(t, err)
	got, err := checkpoint.Read(path)
	require.NoError(t, err)
	assert.Equal(t, state(7), got)
	assert.Empty(t, got.Differs(map[string]string{"data": "abc"}))
	assert.Equal(t, []string{"data"}, got.Differs(map[string]string{"data": "abd"}))
}

func TestKeepsTheNewest(t *testing.T) {
	s := open(t, 2)
	for _, n := range []int{1, 2, 3, 10} {
		_, err := s.Save(state(n), nil)
		require.NoError(t, err)
	}
	steps, err := s.Steps()
	require.NoError(t, err)
	assert.Equal(t, []int{10, 3}, steps)
}

// Every byte of every file counts: after any single one is changed the older
// checkpoint is used.
func TestOneFlippedBitIsFound(t *testing.T) {
	s := open(t, 3)
	_, err := s.Save(state(1), nil)
	require.NoError(t, err)
	path, err := s.Save(state(2), nil)
	require.NoError(t, err)
	for _, name := range []string{"state.json", "state.safetensors", "MANIFEST.json"} {
		file := filepath.Join(path, name)
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		for i := range whole {
			broken := append([]byte(nil), whole...)
			broken[i] ^= 1
			require.NoError(t, os.WriteFile(file, broken, 0o644))
			st, warnings, err := s.Latest()
			require.NoError(t, err)
			if st.Step == 2 { // only where JSON means the same: white space
				require.Equal(t, name, "MANIFEST.json")
				require.Contains(t, " \n!\v", string(whole[i]), "byte %d", i)
				continue
			}
			require.Equal(t, 1, st.Step)
			require.Len(t, warnings, 1)
		}
		require.NoError(t, os.WriteFile(file, whole, 0o644))
	}
}

func TestTruncatedIsPassedOver(t *testing.T) {
	s := open(t, 3)
	_, err := s.Save(state(1), nil)
	require.NoError(t, err)
	path, err := s.Save(state(2), nil)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(filepath.Join(path, "state.safetensors"), 100))
	st, warnings, err := s.Latest()
	require.NoError(t, err)
	assert.Equal(t, 1, st.Step)
	assert.Contains(t, warnings[0], "100 bytes")
}

func TestFailureLeavesNothingBehind(t *testing.T) {
	s := open(t, 3)
	_, err := s.Save(state(1), nil)
	require.NoError(t, err)
	cause := errors.New("disk gone")
	_, err = s.Save(state(2), func(*atomicfs.Dir) error { return cause })
	require.ErrorIs(t, err, cause)
	entries, err := os.ReadDir(s.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "step-1", entries[0].Name())
}

func TestNewerFormatIsRefused(t *testing.T) {
	s := open(t, 3)
	path, err := s.Save(state(1), nil)
	require.NoError(t, err)
	file := filepath.Join(path, "MANIFEST.json")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	raw = []byte("{\"format\": 9" + string(raw[len("{\n \"format\": 1"):]))
	require.NoError(t, os.WriteFile(file, raw, 0o644))
	_, err = checkpoint.Read(path)
	require.ErrorIs(t, err, failure.ErrData)
	assert.Contains(t, err.Error(), "newer graft (format 9")
}

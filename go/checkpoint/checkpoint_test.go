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
}

// TestDiffersNamesWhatAndBothValues, of the configuration each key; a checkpoint
// of before, which has no settings, is still told apart.
func TestDiffersNamesWhatAndBothValues(t *testing.T) {
	st := state(7)
	st.Identity["configuration"], st.Settings = "e0", map[string]string{"optim.eps": "1e-8", "train.seed": "42", "method.r": "8"}
	now := map[string]string{"optim.eps": "1e-8", "train.seed": "7", "method.init": "default"}
	assert.Empty(t, st.Differs(map[string]string{"data": "abc", "configuration": "e0"}, now), "only hashes decide")
	assert.Equal(t, []string{"data abc, now abd"}, st.Differs(map[string]string{"data": "abd", "configuration": "e0"}, now))
	changed := map[string]string{"data": "abc", "configuration": "e1"}
	assert.Equal(t, []string{"method.init not there, now default", "method.r 8, now not there", "train.seed 42, now 7"}, st.Differs(changed, now))
	st.Settings = nil
	assert.Equal(t, []string{"configuration e0, now e1"}, st.Differs(changed, now))
}

// TestAnotherStateOfTheSameStepReplacesIt, and the same one does not.
func TestAnotherStateOfTheSameStepReplacesIt(t *testing.T) {
	s := open(t, 3)
	path, err := s.Save(state(7), nil)
	require.NoError(t, err)
	first, err := os.Stat(path)
	require.NoError(t, err)
	_, err = s.Save(state(7), nil)
	require.NoError(t, err)
	second, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, os.SameFile(first, second))
	final := state(7)
	final.Final = true
	_, err = s.Save(final, nil)
	require.NoError(t, err)
	got, _, err := s.Latest()
	require.NoError(t, err)
	assert.True(t, got.Final)
	head, err := s.Newest()
	require.NoError(t, err)
	assert.True(t, head.Final)
	assert.Empty(t, head.Values)
}

// TestReadsAStateOfBefore has no sums, settings or pending record.
func TestReadsAStateOfBefore(t *testing.T) {
	dir := t.TempDir()
	old := `{"format": 1, "step": 3, "final": true, "identity": {"data": "abc"}, "params": [], "eval_before": 2.5}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"), []byte(old), 0o644))
	st, err := checkpoint.ReadHead(dir)
	require.NoError(t, err)
	assert.Equal(t, 2.5, float64(*st.EvalBefore))
	assert.Zero(t, st.Sums)
	_, err = checkpoint.ReadHead(t.TempDir())
	assert.ErrorIs(t, err, failure.ErrNoInput)
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

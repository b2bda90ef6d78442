package graft_test

import (
	"path/filepath"
	"testing"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProgress: records that become tokens, the loading and an evaluation are told
// of by their names.
func TestProgress(t *testing.T) {
	dir := place(t, nil)
	data := filepath.Join(dir, "train.jsonl")
	c, err := config.Parse("run.yaml", nil, []string{
		"device=reference", "model.path=" + filepath.Join(dir, "base"), "data.train=" + data, "data.eval=" + data, "data.cache=none", "train.max_steps=1", "method.r=2", "data.max_seq_length=20",
	})
	require.NoError(t, err)
	last := map[string][2]int64{}
	run, err := graft.Prepare(t.Context(), c, graft.Options{Progress: func(what string, done, total int64) { last[what] = [2]int64{done, total} }})
	require.NoError(t, err)
	defer run.Close()
	assert.Equal(t, [2]int64{8, 0}, last["tokenising"], "their number in all is not known")
	_, err = run.Evaluate(t.Context())
	require.NoError(t, err)
	assert.Equal(t, last["loading the base"][0], last["loading the base"][1])
	n := int64(len(run.Eval))
	assert.Equal(t, [2]int64{n, n}, last["evaluating"])
}

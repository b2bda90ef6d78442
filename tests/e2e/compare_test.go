package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCompareTrainsEachMethod on the same data: planned and used agree, what it
// writes is there, and a method that cannot be trained says why.
func TestCompareTrainsEachMethod(t *testing.T) {
	dir := workplace(t)
	var all []struct {
		Method       string `json:"method"`
		PlannedBytes int64  `json:"planned_bytes"`
		UsedBytes    int64  `json:"used_bytes"`
		FileBytes    int64  `json:"file_bytes"`
		Steps        int    `json:"steps"`
		Output       string `json:"output"`
		Refused      string `json:"refused"`
	}
	read(t, done(t, dir, "compare", "run.yaml", "--methods", "full,lora,qlora", "--json"), &all)
	require.Len(t, all, 3)
	for _, c := range all[:2] {
		require.Empty(t, c.Refused, c.Method)
		assert.Equal(t, c.PlannedBytes, c.UsedBytes, c.Method)
		assert.Equal(t, 6, c.Steps, c.Method)
		assert.Positive(t, c.FileBytes, c.Method)
		assert.DirExists(t, filepath.Join(dir, c.Output), c.Method)
	}
	assert.Contains(t, all[2].Refused, "multiple of 64", "32 inputs are no block of nf4")
	page := string(contents(t, dir, "out", "compare.html"))
	assert.NotContains(t, page, "http", "the page needs no network")
	for _, m := range []string{"full", "lora", "qlora"} {
		assert.Contains(t, page, `<th scope="row">`+m)
	}
}

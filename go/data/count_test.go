package data_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"text": "a", "label": "x"}
{"text": "b", "labels": ["x", "y"]}

{"prompt": "c", "completion": "d"}
{"neither": 1}
{
`), 0o644))
	forms, err := data.Count(t.Context(), []data.Source{{Path: path}, {Path: path}}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[data.Form]int{data.Classification: 4, data.PromptCompletion: 2}, forms)
	_, err = data.Count(t.Context(), []data.Source{{Path: filepath.Join(dir, "absent.jsonl")}}, nil)
	assert.ErrorIs(t, err, failure.ErrNoInput)
}

package data_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func labelled(t *testing.T, lines string) *data.Rows {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines), 0o644))
	e := encoder(t)
	e.Labelled = true
	rows, _, err := data.Load(context.Background(), data.Options{Encoder: e, Sources: []data.Source{{Path: path}}})
	require.NoError(t, err)
	return rows
}

// TestLabels: the task and the order of classes are those of the records.
func TestLabels(t *testing.T) {
	for _, c := range []struct {
		lines string
		task  data.Task
		names []string
	}{
		{`{"text":"a","label":"y"}` + "\n" + `{"text":"b","label":"x"}`, data.SingleLabel, []string{"x", "y"}},
		{`{"text":"a","label":10}` + "\n" + `{"text":"b","label":9}`, data.SingleLabel, []string{"9", "10"}},
		{`{"text":"a","labels":["y","x"]}` + "\n" + `{"text":"b","labels":[]}`, data.MultiLabel, []string{"x", "y"}},
		{`{"text":"a","label":0.5}` + "\n" + `{"text":"b","label":-1}`, data.Regression, []string{"LABEL_0"}},
	} {
		rows := labelled(t, c.lines)
		l, err := rows.Labels(data.AutoTask, nil)
		require.NoError(t, err)
		assert.Equal(t, data.Labels{Task: c.task, Names: c.names}, l)
		require.NoError(t, rows.Use(l))
		require.True(t, get(rows.Row(0)).Labelled)
	}
	rows := labelled(t, `{"text":"a","labels":["y","x"]}`+"\n"+`{"text":"b","labels":[]}`)
	l, err := rows.Labels(data.AutoTask, nil)
	require.NoError(t, err)
	require.NoError(t, rows.Use(l))
	assert.Equal(t, []float32{1, 1}, get(rows.Row(0)).Values)
	assert.Equal(t, []float32{0, 0}, get(rows.Row(1)).Values)
}

// TestBadLabels: each is a sentence that names what was found.
func TestBadLabels(t *testing.T) {
	rows := labelled(t, `{"text":"a","label":"x"}`+"\n"+`{"text":"b","label":"x"}`)
	_, err := rows.Labels(data.AutoTask, nil)
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, `every training record has the label "x"`)
	_, err = rows.Labels(data.SingleLabel, []string{"x", "z"})
	assert.ErrorContains(t, err, `"z" of method.labels has no training record`)
	err = rows.Use(data.Labels{Task: data.SingleLabel, Names: []string{"p", "q"}})
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, `x.jsonl:1: the label "x" was never seen in training; the classes are p, q`)
	err = rows.Use(data.Labels{Task: data.Regression, Names: []string{"LABEL_0"}})
	assert.ErrorContains(t, err, "is no number")
	rows = labelled(t, `{"text":"a","label":-1}`+"\n"+`{"text":"b","label":"x"}`)
	assert.ErrorContains(t, rows.Use(data.Labels{Task: data.SingleLabel, Names: []string{"-1", "x"}}), "a number that can be no class")
}

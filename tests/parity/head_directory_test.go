package parity_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/head"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHeadDirectory: a head is written and read again with the same values,
// labels and pooling, and PEFT is told of it only where it would compute the
// same.
func TestHeadDirectory(t *testing.T) {
	for _, name := range heads {
		t.Run(name, func(t *testing.T) {
			f := readHead(t, name)
			e := f.open(t, single)
			dir := filepath.Join(t.TempDir(), "adapter")
			require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error { return f.method().Save(d, e.Model, e.Values) }))

			how, err := registry.Read(dir)
			require.NoError(t, err)
			c, ok := how.(head.Config)
			require.True(t, ok)
			assert.Equal(t, f.method().Labels, c.Labels)
			assert.Equal(t, f.Adapter != nil, c.Beneath != nil)
			values, err := c.Load(dir, e.Model)
			require.NoError(t, err)
			for _, p := range e.Model.Params.Trainable() {
				assert.Equal(t, f.tensors["initial."+p.Name], values[p.Name], p.Name)
			}

			raw, err := os.ReadFile(filepath.Join(dir, method.ConfigFile))
			if name == "bert-mean" {
				require.ErrorIs(t, err, os.ErrNotExist)
				return
			}
			require.NoError(t, err)
			var peft map[string]any
			require.NoError(t, json.Unmarshal(raw, &peft))
			assert.Equal(t, "SEQ_CLS", peft["task_type"])
			if *python == "" {
				return
			}
			var out collect
			_, err = e.EvaluateBy(t.Context(), &out, f.packed(f.all()))
			require.NoError(t, err)
			all := load(t, request{
				Base: filepath.Join("testdata", "head", f.Base), Adapter: dir, Labels: f.Classes, Problem: string(f.Task), Rows: f.Rows,
			})
			d := distance(slices.Concat(all...), out.logits)
			assert.Less(t, d, close)
			t.Logf("logits: %.2g", d)
		})
	}
}

// TestHeadPlan: what was planned is what was used, once every bucket has run.
func TestHeadPlan(t *testing.T) {
	for _, name := range heads {
		f := readHead(t, name)
		e := f.open(t, single)
		for i, s := range f.Steps {
			_, err := e.Step(i, s.LR, f.packed(s.Rows))
			require.NoError(t, err)
		}
		_, err := e.Step(len(f.Steps), 0, f.packed(f.all()))
		require.NoError(t, err)
		_, err = e.Evaluate(f.packed(f.all()))
		require.NoError(t, err)
		assert.Equal(t, e.Planned(), e.Used(), name)
	}
}

// TestHeadMeasures: counts by hand.
func TestHeadMeasures(t *testing.T) {
	m := head.NewMeasure(data.Labels{Task: data.SingleLabel, Names: []string{"a", "b", "c"}})
	// a→a, a→b, b→b; the last sequence fills the bucket. Nothing is c.
	m.Add(data.MicroBatch{Targets: []int32{0, 0, 1, 0}, Weights: []float32{1, 1, 1, 0}}, []float32{2, 1, 0, 0, 3, 0, 0, 1, 0, 9, 0, 0})
	got, _ := m.Result()
	assert.InDelta(t, 2.0/3, got["accuracy"], 1e-12)
	assert.InDelta(t, 2.0/3, got["macro_f1"], 1e-12) // of a and b, each 2/3
	m = head.NewMeasure(data.Labels{Task: data.MultiLabel, Names: []string{"a", "b"}})
	m.Add(data.MicroBatch{Weights: []float32{1, 1}, Values: []float32{1, 0, 1, 1}}, []float32{1, -1, 1, -1})
	got, _ = m.Result()
	assert.InDelta(t, 0.5, got["accuracy"], 1e-12)
	assert.InDelta(t, 0.8, got["micro_f1"], 1e-12)
	m = head.NewMeasure(data.Labels{Task: data.Regression, Names: []string{"LABEL_0"}})
	m.Add(data.MicroBatch{Weights: []float32{1, 1}, Values: []float32{1, 3}}, []float32{2, 3})
	got, _ = m.Result()
	assert.InDelta(t, 0.5, got["mse"], 1e-12)
	assert.InDelta(t, 0.5, got["mae"], 1e-12)
	assert.InDelta(t, 0.5, got["r2"], 1e-12)
}

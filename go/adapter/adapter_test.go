package adapter

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

const fixtures = "../../tests/parity/testdata/llama/"

func open(t *testing.T, name string) *Adapter {
	a, err := Open(fixtures + name)
	require.NoError(t, err)
	return a
}

// update is Σ weight·scale·B·A of a layer.
func update(path string, all ...Weighted) *mat.Dense {
	var sum *mat.Dense
	for _, a := range all {
		for _, l := range a.Layers {
			if l.Path != path {
				continue
			}
			var d mat.Dense
			d.Mul(l.B, l.A)
			d.Scale(a.Weight*l.Scale, &d)
			if sum == nil {
				sum = &d
			} else {
				sum.Add(sum, &d)
			}
		}
	}
	return sum
}

// TestExact: cat, and svd with enough rank, are the weighted sum; a file that
// was written is what was combined.
func TestExact(t *testing.T) {
	all := []Weighted{{open(t, "qv/initial"), 0.7}, {open(t, "qv/final"), -0.3}, {open(t, "all-linear/final"), 0.5}}
	for kind, o := range map[Kind]Options{Cat: {}, SVD: {Rank: 11}} {
		both, err := Combine(kind, all, o)
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "both")
		require.NoError(t, both.Write(dir))
		read, err := Open(dir)
		require.NoError(t, err)
		require.Len(t, read.Layers, 14)
		for _, l := range read.Layers {
			want := update(l.Path, all...)
			var off mat.Dense
			off.Sub(update(l.Path, Weighted{read, 1}), want)
			assert.Less(t, mat.Norm(&off, 2), 1e-6*mat.Norm(want, 2), "%s %s", kind, l.Path)
		}
	}
}

// TestOneStaysItself, for every kind.
func TestOneStaysItself(t *testing.T) {
	a := open(t, "qv/final")
	for _, kind := range Kinds {
		one, err := Combine(kind, []Weighted{{a, 1}}, Options{})
		require.NoError(t, err)
		d, err := Diff(a, one)
		require.NoError(t, err)
		assert.Less(t, d.Distance, 1e-6, kind)
	}
}

func TestRefusals(t *testing.T) {
	qv, dora, modules := open(t, "qv/final"), open(t, "dora/final"), open(t, "modules/final")
	other, err := Open("../../tests/parity/testdata/mistral/qv/final")
	require.NoError(t, err)
	for text, all := range map[string][]Weighted{
		"DoRA":                 {{qv, 1}, {dora, 1}},
		"different bases":      {{qv, 1}, {other, 1}},
		"neither can give way": {{modules, 1}, {modules, 1}},
		"needs equal ranks":    {{qv, 1}, {open(t, "all-linear/final"), 1}},
		"there is no adapter":  nil,
	} {
		_, err := Combine(Ties, all, Options{})
		assert.ErrorContains(t, err, text)
	}
}

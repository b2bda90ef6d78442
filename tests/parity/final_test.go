package parity_test

import (
	"math"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/require"
)

// final is what PyTorch had after twenty steps, by the names of our
// parameters.
func (f *fixture) final(t *testing.T, name string) map[string][]float32 {
	t.Helper()
	if name != "full" {
		m := f.method(t, name)
		md := model.New(f.config(t))
		require.NoError(t, m.Attach(md, 7))
		values, err := m.Load(f.adapter(name, "final"), md)
		require.NoError(t, err)
		return values
	}
	all := map[string][]float32{}
	for n, v := range f.tensors {
		if p, ok := strings.CutPrefix(n, "full.final."); ok {
			all[p] = v
		}
	}
	require.NotEmpty(t, all)
	return all
}

// largest is the largest difference of two elements.
func largest[A, B float32 | float64](want []A, got []B) (d float64) {
	for i := range want {
		d = max(d, math.Abs(float64(got[i])-float64(want[i])))
	}
	return d
}

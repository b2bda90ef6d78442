package parity_test

import (
	"testing"

	"github.com/graftlm/graft/go/optim"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// each runs a test for every family and method.
func each(t *testing.T, run func(t *testing.T, f *fixture, name string)) {
	for _, family := range families {
		for _, name := range methods {
			t.Run(family+"/"+name, func(t *testing.T) { run(t, read(t, family), name) })
		}
	}
}

// TestGradients compares every gradient of the first step, before clipping.
func TestGradients(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, name string) {
		for _, k := range []kind{exact, single} {
			e := open(t, k, f.setting(t, name))
			first := f.Methods[name].Steps[0]
			_, err := e.Step(0, first.LR, f.apart(first.Rows))
			require.NoError(t, err)
			for p, got := range trained(t, e, gradient) {
				assert.Less(t, distance(f.tensor(t, name+".gradient."+p), got), close, "%s: %s", k.name, p)
			}
		}
	})
}

// TestTwentySteps follows the losses, the gradient norms and the learning
// rates of twenty steps of AdamW, and compares what they leave. Adam turns the
// rounding of a tiny gradient into a step of the learning rate, so the measure
// of the trained parameters is how far PyTorch's own float32 is from float64:
// ours may be a few times as far from PyTorch.
func TestTwentySteps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, name string) {
		course := f.Methods[name]
		schedule, err := optim.NewSchedule(course.Schedule, peakLR, course.Warmup, 0, len(course.Steps))
		require.NoError(t, err)
		final := f.final(t, name)
		distances := map[string]float64{}
		for _, k := range []kind{exact, single} {
			e := open(t, k, f.setting(t, name))
			for i, want := range course.Steps {
				lr := schedule.At(i)
				assert.InDelta(t, want.LR, lr, 1e-12, "learning rate of step %d", i)
				got, err := e.Step(i, lr, f.packed(want.Rows))
				require.NoError(t, err)
				assert.InEpsilon(t, want.Loss, got.Loss, close, "%s: loss of step %d", k.name, i)
				assert.InEpsilon(t, want.GradNorm, got.GradNorm, close, "%s: gradient norm of step %d", k.name, i)
			}
			var want []float32
			var got []float64
			for p, v := range trained(t, e, weight) {
				require.Len(t, v, len(final[p]), p)
				want, got = append(want, final[p]...), append(got, v...)
			}
			assert.Less(t, largest(want, got), 0.05*peakLR*float64(len(course.Steps)), k.name)
			distances[k.name] = distance(want, got)
		}
		assert.Less(t, distances[exact.name], close)
		assert.Less(t, distances[single.name], 4*distances[exact.name])
		t.Logf("parameters: %v", distances)
	})
}

// TestPackingAndAccumulation: four rows in one micro-batch, or one in each of
// four, are the same step.
func TestPackingAndAccumulation(t *testing.T) {
	rows := []int{3, 1, 0, 4}
	each(t, func(t *testing.T, f *fixture, name string) {
		for _, k := range []struct {
			kind
			within float64
		}{{exact, 1e-12}, {single, 1e-6}} {
			s := f.setting(t, name)
			s.buckets = append(s.buckets, f.packed(rows))
			packed, apart := open(t, k.kind, s), open(t, k.kind, s)
			a, err := packed.Step(0, peakLR, f.packed(rows))
			require.NoError(t, err)
			b, err := apart.Step(0, peakLR, f.apart(rows))
			require.NoError(t, err)
			assert.InEpsilon(t, a.Loss, b.Loss, 1e-6)
			other := trained(t, apart, gradient)
			for p, g := range trained(t, packed, gradient) {
				assert.Less(t, distance(g, other[p]), k.within, "%s: %s", k.name, p)
			}
		}
	})
}

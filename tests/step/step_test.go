//go:build cuda

package step

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tolerance is how far the curves of two devices may be apart, relative. In
// float32 they differ in the order of sums: a relative 2⁻²⁴ each, √n of it for
// the few thousand terms of a gradient, and AdamW, which divides by what may be
// small, makes more of it: 1e-5 in the losses after four steps (tests of
// go/train hold the CPU to float64 by as much), ten times that in norms, which
// are those of a single micro-batch's noise. In bfloat16 each activation is
// rounded to 2⁻⁹ after sums in another order; the loss is a mean over tokens.
func (s setting) tolerance() float64 {
	if s.base == "llama-bf16" {
		return 1e-2
	}
	return 1e-5
}

// wrong is a learning rate that must not pass for the run's own 1e-2: a tenth
// more, and in bfloat16, whose tolerance is a thousand times as wide, twice it.
func (s setting) wrong() string {
	if s.base == "llama-bf16" {
		return "optim.learning_rate=2e-2"
	}
	return "optim.learning_rate=1.1e-2"
}

// TestDevices trains each method on both devices. The curves agree; those of
// another learning rate do not, so that the tolerance can tell. A run on the GPU
// that was stopped and resumed ends with the bits of one that was not, and a
// checkpoint of each device goes on on the other.
func TestDevices(t *testing.T) {
	dir := workplace(t)
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			out := func(what string) string { return name + "/" + what }
			want, _ := s.train(t, dir, out("cpu"), cpu, 0, false)
			got, whole := s.train(t, dir, out("cuda"), cuda, 0, false)
			require.Len(t, got.loss, steps)
			s.near(t, want, got)
			wrong, _ := s.train(t, dir, out("wrong"), cpu, 0, false, s.wrong())
			assert.Greater(t, math.Abs(wrong.loss[steps-1]/want.loss[steps-1]-1), s.tolerance(), "the tolerance lets another learning rate pass")

			first, _ := s.train(t, dir, out("halves"), cuda, 2, false)
			clone(t, dir, out("halves"), out("cuda to cpu"))
			second, resumed := s.train(t, dir, out("halves"), cuda, 0, true)
			both := curve{append(first.loss, second.loss...), append(first.norm, second.norm...), append(first.eval, second.eval...)}
			assert.Equal(t, got, both, "the same run twice, once stopped")
			assert.Equal(t, written(t, whole), written(t, resumed))

			rest, _ := s.train(t, dir, out("cuda to cpu"), cpu, 0, true)
			s.near(t, want, curve{append(first.loss, rest.loss...), append(first.norm, rest.norm...), append(first.eval, rest.eval...)})
			first, _ = s.train(t, dir, out("cpu to cuda"), cpu, 2, false)
			rest, _ = s.train(t, dir, out("cpu to cuda"), cuda, 0, true)
			s.near(t, want, curve{append(first.loss, rest.loss...), append(first.norm, rest.norm...), append(first.eval, rest.eval...)})
		})
	}
}

// near compares two runs.
func (s setting) near(t *testing.T, want, got curve) {
	t.Helper()
	for _, x := range []struct {
		what      string
		want, got []float64
		tolerance float64
	}{
		{"loss", want.loss, got.loss, s.tolerance()},
		{"gradient norm", want.norm, got.norm, 10 * s.tolerance()},
		{"evaluation loss", want.eval, got.eval, s.tolerance()},
	} {
		require.Len(t, x.got, len(x.want), x.what)
		worst := 0.0
		for i := range x.want {
			worst = max(worst, math.Abs(x.got[i]-x.want[i])/max(math.Abs(x.want[i]), 1e-3))
		}
		t.Logf("%s: %.2g apart", x.what, worst)
		assert.LessOrEqual(t, worst, x.tolerance, "%s: %v on the CPU, %v on the GPU", x.what, x.want, x.got)
	}
}

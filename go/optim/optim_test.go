package optim_test

import (
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/optim"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The numbers are transformers' get_linear_schedule_with_warmup and
// get_cosine_schedule_with_warmup with 2 warm-up steps of 10.
func TestSchedulesEqualTransformers(t *testing.T) {
	want := map[string][]float64{
		"constant": {0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1},
		"linear":   {0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125},
		"cosine":   {0, 0.5, 1, 0.9619398, 0.8535534, 0.6913417, 0.5, 0.3086583, 0.1464466, 0.0380602},
	}
	for kind, factors := range want {
		s, err := optim.NewSchedule(kind, 2e-4, 2, 0, 10)
		require.NoError(t, err)
		for step, f := range factors {
			assert.InDelta(t, 2e-4*f, s.At(step), 1e-11, "%s, step %d", kind, step)
		}
	}
}

func TestWarmupRatioRoundsUp(t *testing.T) {
	s, err := optim.NewSchedule("cosine", 1, 0, 0.03, 101)
	require.NoError(t, err)
	assert.Equal(t, 4, s.Warmup)
}

func TestUnknownSchedule(t *testing.T) {
	_, err := optim.NewSchedule("cosin", 1, 0, 0, 10)
	require.ErrorIs(t, err, failure.ErrConfig)
	assert.Contains(t, err.Error(), `"cosin"`)
}

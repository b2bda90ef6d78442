package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stepTimes are what scripts read of bench step.
type stepTimes struct {
	Device       string             `json:"device"`
	Seconds      []float64          `json:"seconds"`
	TokensPerSec float64            `json:"tokens_per_second"`
	FLOPs        float64            `json:"flops_executed"`
	ModelFLOPs   float64            `json:"flops_model"`
	Peak         float64            `json:"peak_flops_per_second"`
	MFU          float64            `json:"mfu"`
	BusyAtMost   float64            `json:"busy_at_most"`
	BusyClock    string             `json:"busy_clock"`
	Parts        map[string]float64 `json:"seconds_by_part"`
	Operations   map[string]float64 `json:"seconds_by_operation"`
	Planned      map[string]int64   `json:"planned_bytes"`
	Used         map[string]int64   `json:"used_bytes"`
}

// timeStep times steps of the smallest shape, and holds what is told of them
// together.
func timeStep(t *testing.T, dir, device, method string) (r stepTimes) {
	t.Helper()
	const batch, sequence, steps = 2, 16, 3
	read(t, done(t, dir, "bench", "step", "--model", "tiny", "--method", method, "--batch", "2", "--seq", "16", "--steps", "3", "--peak", "0.5", "--device", device, "--json"), &r)
	require.Len(t, r.Seconds, steps)
	median := slices.Sorted(slices.Values(r.Seconds))[steps/2]
	assert.InEpsilon(t, batch*sequence/median, r.TokensPerSec, 1e-9)
	assert.Positive(t, r.ModelFLOPs)
	assert.GreaterOrEqual(t, r.FLOPs, r.ModelFLOPs)
	assert.Equal(t, 0.5e12, r.Peak)
	assert.InEpsilon(t, r.ModelFLOPs/median/r.Peak, r.MFU, 1e-9)

	assert.ElementsMatch(t, []string{"upload", "launch", "wait", "host"}, slices.Collect(maps.Keys(r.Parts)))
	whole, timed := 0.0, 0.0
	for _, part := range r.Parts {
		assert.GreaterOrEqual(t, part, 0.0)
		whole += part * steps
	}
	for _, s := range r.Seconds {
		timed += s
	}
	assert.GreaterOrEqual(t, whole, timed*(1-1e-9), "the parts are all of the time")

	assert.Greater(t, r.BusyAtMost, 0.0)
	assert.LessOrEqual(t, r.BusyAtMost, 1.0)
	clock := "host"
	if strings.HasPrefix(device, "cuda") {
		clock = "device"
	}
	assert.Equal(t, clock, r.BusyClock)

	assert.Equal(t, r.Planned, r.Used, "planned and used bytes")
	assert.ElementsMatch(t, []string{"frozen", "trainable", "staging", "activations", "workspace"}, slices.Collect(maps.Keys(r.Planned)))
	return r
}

// TestBenchStep: the figures of a step on the CPU, of each kind of base.
func TestBenchStep(t *testing.T) {
	dir := t.TempDir()
	all := map[string]stepTimes{}
	for _, method := range []string{"lora", "qlora", "full"} {
		all[method] = timeStep(t, dir, "cpu", method)
	}
	assert.Less(t, all["qlora"].Planned["frozen"], all["lora"].Planned["frozen"])
	assert.Less(t, all["lora"].Planned["trainable"], all["full"].Planned["trainable"])
	assert.Less(t, all["lora"].ModelFLOPs, all["full"].ModelFLOPs, "frozen weights have no gradient")
	assert.Contains(t, all["lora"].Operations, "linear_backward")

	text := done(t, dir, "bench", "step", "--model", "tiny", "--seq", "16", "--steps", "1", "--device", "cpu")
	assert.Regexp(t, `(?m)^memory +planned (.+), used (.+)$`, text)
	assert.Contains(t, text, "tokens/s")
	assert.Contains(t, done(t, dir, "bench", "step", "--help"), "cuda:N, pjrt:PLUGIN or reference")
	assert.Equal(t, 69, graft(t, dir, "bench", "step", "--model", "tiny", "--seq", "16", "--device", "pjrt:/no/such/plugin.so").code)
}

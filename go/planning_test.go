package graft_test

import (
	"fmt"
	"testing"

	"github.com/graftlm/graft/bindings"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func planned(t *testing.T, name, settings string, s graft.Shape, limit int64) graft.Alternative {
	t.Helper()
	c, err := graft.PlannedModel(name)
	require.NoError(t, err)
	cfg, err := config.Parse("test", []byte(settings), nil)
	require.NoError(t, err)
	a, err := graft.PlanMethod(c, cfg, bindings.CUDAProfile(), s, limit)
	require.NoError(t, err)
	return a
}

// What is published of these models: 26.95 GB of float32 weights and 53.9 GB of
// moments for 7B, 33.6 MB of LoRA r=16 on q and v, 33.9 and 36.8 GiB of NF4 for
// the two 70B.
func TestPublishedPlans(t *testing.T) {
	s := graft.Shape{MicroBatch: 1, Sequence: 128}
	full := planned(t, "llama-7b", `{model: {dtype: f32}, method: {type: full}}`, s, 0)
	assert.EqualValues(t, 26_953_662_464, full.Parts.Parameters)
	assert.EqualValues(t, 53_907_324_928, full.Parts.Optimizer)
	lora := planned(t, "llama-7b", `{method: {type: lora, target_modules: [q_proj, v_proj]}}`, s, 0)
	assert.EqualValues(t, 33_554_432, lora.FileBytes)
	for name, gib := range map[string]string{"llama-2-70b": "33.9", "llama-3.1-70b": "36.8"} {
		q := planned(t, name, `{method: {type: qlora}}`, s, 0)
		assert.Equal(t, gib, fmt.Sprintf("%.1f", float64(q.Parts.Weights)/(1<<30)), name)
		assert.Less(t, q.Streamed, q.Total/4, name)
	}
}

// The largest batch and row fit, and one more does not; where layers may run
// again more fits than where they may not.
func TestLargestThatFits(t *testing.T) {
	const limit = 768 << 20
	var kept, again graft.Alternative
	for settings, a := range map[string]*graft.Alternative{
		`{method: {type: lora}, memory: {checkpointing: none}}`: &kept,
		`{method: {type: lora}}`:                                &again,
	} {
		*a = planned(t, "smollm2-135m", settings, graft.Shape{MicroBatch: 1, Sequence: 256}, limit)
		require.Positive(t, a.LargestBatch)
		total := func(n, sequence int) int64 {
			return planned(t, "smollm2-135m", settings, graft.Shape{MicroBatch: n, Sequence: sequence}, limit).Total
		}
		assert.LessOrEqual(t, total(a.LargestBatch, 256), int64(limit))
		assert.Greater(t, total(a.LargestBatch+1, 256), int64(limit))
		assert.LessOrEqual(t, total(1, a.LargestSequence), int64(limit))
		assert.Greater(t, total(1, a.LargestSequence+1), int64(limit))
	}
	assert.Greater(t, again.LargestBatch, kept.LargestBatch)
	assert.Greater(t, again.LargestSequence, kept.LargestSequence)
}

func TestAdviceFollowsItsNumbers(t *testing.T) {
	var all []graft.Alternative
	for _, m := range []string{"full", "lora", "qlora"} {
		all = append(all, planned(t, "llama-3.1-8b", `{method: {type: `+m+`}}`, graft.Shape{MicroBatch: 1, Sequence: 512}, 0))
	}
	for gib, starts := range map[int64]string{200: "lora: ", 24: "lora: ", 12: "qlora: ", 4: "none fits: "} {
		assert.Regexp(t, "^"+starts, graft.Advice(all, gib<<30, 1000), "%d GiB", gib)
	}
	assert.Regexp(t, "^full: ", graft.Advice(all, 200<<30, 100_000))
	assert.Contains(t, graft.Advice([]graft.Alternative{{Method: "lora", Total: 5 << 20}}, 0, 0), "it fits in 5.0 MiB")
}

// Every method is planned from a config.json alone, a head for two classes.
func TestEveryMethodIsPlanned(t *testing.T) {
	for _, m := range config.Methods() {
		a := planned(t, "smollm2-135m", `{method: {type: `+m+`}}`, graft.Shape{MicroBatch: 1, Sequence: 64}, 0)
		assert.Positive(t, a.Trainable, m)
		assert.Positive(t, a.FileBytes, m)
		assert.Positive(t, a.FLOPs, m)
		if m == "head" {
			assert.Equal(t, 2*576, a.Trainable)
		}
	}
}

func TestUnknownShape(t *testing.T) {
	_, err := graft.PlannedModel("no-such-model")
	assert.ErrorIs(t, err, failure.ErrNoInput)
	for _, name := range model.ShapeNames() {
		_, err := graft.PlannedModel(name)
		assert.NoError(t, err)
	}
}

// Virtual tokens take the place of tokens, once: 64 more of them in one row are
// four integers each of what the host writes (id, position, row and number).
func TestVirtualTokensCountOnce(t *testing.T) {
	s := graft.Shape{MicroBatch: 1, Sequence: 128}
	few := planned(t, "smollm2-135m", `{method: {type: prompt, num_virtual_tokens: 64}}`, s, 0)
	more := planned(t, "smollm2-135m", `{method: {type: prompt, num_virtual_tokens: 128}}`, s, 0)
	assert.EqualValues(t, 64*4*4, more.Parts.Staging-few.Parts.Staging)
}

package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProgressShowsMemory beside loss, speed and the time that is left.
func TestProgressShowsMemory(t *testing.T) {
	e := train.Event{Step: 3, TotalSteps: 9, Loss: 1.5, TokensPerSec: 120, Used: 30 << 20, Planned: 40 << 20, Left: 12 * time.Second}
	assert.Equal(t, "step 3/9  loss 1.5000  grad_norm 0.000  lr 0.00e+00  120 tokens/s  30.0 MiB of 40.0 MiB  12s left", eventLine(e))
}

// TestEvaluationIsAlwaysJSON, where the perplexity is infinite too.
func TestEvaluationIsAlwaysJSON(t *testing.T) {
	text, err := json.Marshal(evaluated(train.Report{Loss: 1000, Accuracy: 0.5}))
	require.NoError(t, err)
	assert.JSONEq(t, `{"loss": 1000, "perplexity": null, "accuracy": 0.5}`, string(text))
}

package config_test

import (
	"testing"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func as(t *testing.T, text, alternative string, sets ...string) *config.Config {
	t.Helper()
	c, err := config.ParseAs("run.yaml", []byte(text), alternative, sets)
	require.NoError(t, err)
	assert.Equal(t, alternative, c.Alternative())
	return c
}

// Every alternative is the run with its own defaults; sets hold for all that
// know the key, and a type that is set is that of the file's own alone.
func TestAlternatives(t *testing.T) {
	for _, a := range config.Alternatives() {
		c := as(t, run, a, "train.seed=7", "method.type=qlora", "optim.eps=1e-6")
		assert.Equal(t, 7, c.Train.Seed, a)
		assert.Equal(t, 1e-6, c.Optim.Eps, a)
		assert.Equal(t, "./Llama", c.Model.Path, a)
	}
	assert.Equal(t, 3, as(t, "", "qlora", "method.r=3").Method.R)
	_, err := config.ParseAs("run.yaml", nil, "prompt", []string{"method.r=3"})
	assert.ErrorContains(t, err, "method.r has no effect with method.type prompt")
	_, err = config.ParseAs("run.yaml", nil, "ia3", nil)
	assert.ErrorIs(t, err, failure.ErrConfig)
}

// Both heads have the keys of the file's head; the name says what is beneath.
func TestHeadsAreAlternatives(t *testing.T) {
	const text = "method: {type: head, pooling: mean, beneath: lora, r: 4}"
	assert.Equal(t, "mean", as(t, text, config.HeadLoRA).Method.Pooling)
	frozen := as(t, text, "head")
	assert.Equal(t, "mean", frozen.Method.Pooling)
	assert.Equal(t, "frozen", frozen.Method.Beneath)
	assert.Equal(t, 4, as(t, "method: {type: lora}", config.HeadLoRA, "method.r=4").Method.R)
}

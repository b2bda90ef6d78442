//go:build cuda

package step

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/plan"
)

// TestHundredSteps: a hundred steps twice have the same bits; with -short of an
// adapter alone.
func TestHundredSteps(t *testing.T) {
	const n = 100
	dir, names := workplace(t), []string{"lora in bf16", "full in bf16"}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		var want curve
		var weights map[string][]byte
		for i := range 2 {
			got, r := settings[name].train(t, dir, fmt.Sprintf("%s/%d", name, i), cuda, 0, false, fmt.Sprintf("train.max_steps=%d", n), "train.gradient_accumulation_steps=1", "eval.every=0", "data.val_set_size=0")
			require.Len(t, got.loss, n)
			if i == 0 {
				want, weights = got, written(t, r)
				continue
			}
			assert.Equal(t, want, got, name)
			assert.Equal(t, weights, written(t, r), name)
		}
		assert.Less(t, want.loss[n-1], want.loss[0])
	}
}

// TestOneStep is what compute-sanitizer watches: a step of the kinds of base.
func TestOneStep(t *testing.T) {
	dir := workplace(t)
	for _, name := range []string{"lora in bf16", "qlora in bf16", "full", "head over an encoder with lora"} {
		settings[name].train(t, dir, name, cuda, 0, false, "train.max_steps=1", "eval.every=0")
	}
}

// TestNoMemory: an arena that is too large, whichever it is, is refused with exit
// code 82, and what was allocated before it is given back.
func TestNoMemory(t *testing.T) {
	b, err := native.CUDA(native.Options{})
	require.NoError(t, err)
	free := func() int64 {
		d, err := b.(bindings.Describer).Describe()
		require.NoError(t, err)
		return d.MemoryFree
	}
	_, err = plan.Open(b, bindings.Plan{0: 1 << 50})
	require.Error(t, err)
	before := free() // the driver has what it keeps
	for space := range bindings.NumSpaces {
		var p bindings.Plan
		for s := range p {
			p[s] = 1 << 20
		}
		p[space] = 1 << 50
		_, err := plan.Open(b, p)
		require.Equal(t, 82, failure.Code(err), "%s: %v", bindings.Space(space), err)
		assert.ErrorIs(t, err, bindings.ErrOutOfMemory)
	}
	assert.Zero(t, native.Live())
	assert.Equal(t, before, free())
}

// TestDevicesLoad: what a device quantises and draws while a base is loaded.
func TestDevicesLoad(t *testing.T) {
	b, err := native.CUDA(native.Options{})
	require.NoError(t, err)
	loadsAsTheHost(t, b)
	randomIsRandom(t, b)
}

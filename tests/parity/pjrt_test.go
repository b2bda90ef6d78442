package parity_test

import (
	"os"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/nn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plugin opens what GRAFT_PJRT_PLUGIN names (make test-pjrt), and at the end
// expects every buffer to be freed.
func plugin(t *testing.T) bindings.Backend {
	t.Helper()
	path := os.Getenv("GRAFT_PJRT_PLUGIN")
	if path == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	backend, err := pjrt.Open(pjrt.Options{Plugin: path})
	require.NoError(t, err)
	t.Cleanup(func() { assert.Zero(t, pjrt.Live(), "every buffer is freed") })
	return backend
}

// TestPJRTTwentySteps trains on a plugin: losses and gradient norms are those
// of the native CPU and of PyTorch. All steps have one bucket, so that two
// programs serve all of them.
func TestPJRTTwentySteps(t *testing.T) {
	backend := plugin(t)
	for _, c := range []struct{ family, method string }{{"llama", "full"}, {"qwen3", "all-linear"}} {
		t.Run(c.family+"/"+c.method, func(t *testing.T) {
			f := read(t, c.family)
			course, s := f.Methods[c.method], f.setting(t, c.method)
			var bucket data.Bucket
			for _, step := range course.Steps {
				b := f.packed(step.Rows)[0]
				bucket.Tokens = max(bucket.Tokens, b.Tokens+1)
				bucket.Sequences = max(bucket.Sequences, len(b.Cu))
				bucket.Targets = max(bucket.Targets, len(b.Rows))
			}
			batches := func(step int) []data.MicroBatch {
				return []data.MicroBatch{f.packed(course.Steps[step].Rows)[0].Fill(bucket)}
			}
			s.buckets = [][]data.MicroBatch{batches(0)}
			traced := open(t, kind{"pjrt float32", func() bindings.Backend { return backend }, nn.Float32}, s)
			run := open(t, single, s)
			for i, want := range course.Steps {
				got, err := traced.Step(i, want.LR, batches(i))
				require.NoError(t, err)
				native, err := run.Step(i, want.LR, batches(i))
				require.NoError(t, err)
				assert.InEpsilon(t, native.Loss, got.Loss, close, "loss of step %d beside the native one", i)
				assert.InEpsilon(t, want.Loss, got.Loss, close, "loss of step %d beside PyTorch", i)
				assert.InEpsilon(t, want.GradNorm, got.GradNorm, close, "gradient norm of step %d", i)
				assert.Equal(t, native.Accuracy, got.Accuracy, "accuracy of step %d", i)
			}
			compiled := traced.Device().(bindings.Compiler).Compiled()
			assert.Len(t, compiled, 3, "clear, micro and update, once each")
			require.NoError(t, traced.Close())
		})
	}
}

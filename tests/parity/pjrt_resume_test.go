package parity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPJRTResume: a run that is stopped on one device goes on on the other, and
// ends as one that never stopped: the state of a checkpoint is that of no device.
func TestPJRTResume(t *testing.T) {
	plugin(t)
	traced := "pjrt:" + os.Getenv("GRAFT_PJRT_PLUGIN")
	dir := t.TempDir()
	data := filepath.Join(dir, "train.jsonl")
	f, err := os.Create(data)
	require.NoError(t, err)
	for i := range 16 {
		require.NoError(t, json.NewEncoder(f).Encode(map[string]any{"input_ids": []int{i, i + 1, i + 2, i + 3, i + 5, i + 8, i + 13}}))
	}
	require.NoError(t, f.Close())
	const steps, stop = 6, 3
	for _, c := range []struct{ name, method, state, file string }{
		{"lora", "{type: lora, r: 4, lora_alpha: 8, lora_dropout: 0.2}", "fp32", "adapter_model.safetensors"},
		{"full", "{type: full}", "8bit", "model.safetensors"},
	} {
		run := func(ctx context.Context, device, out string, resume bool, on func(train.Event)) (train.Result, error) {
			text := fmt.Sprintf(`
device: %q
model: {path: testdata/llama, dtype: f32}
method: %s
data: {train: %q, max_seq_length: 16, train_on: all}
train: {max_steps: %d, micro_batch_size: 2, gradient_accumulation_steps: 2, output_dir: %q}
optim: {learning_rate: 1e-2, state: %s}
`, device, c.method, data, steps, filepath.Join(dir, c.name, out), c.state)
			parsed, err := config.Parse("run.yaml", []byte(text), nil)
			require.NoError(t, err)
			r, err := graft.Prepare(ctx, parsed, graft.Options{})
			require.NoError(t, err)
			defer func() { assert.NoError(t, r.Close()) }()
			return r.Train(ctx, resume, on)
		}
		whole, losses := map[string]map[string][]float32{}, map[string]map[int]float64{}
		for _, device := range []string{"cpu", traced} {
			losses[device] = map[int]float64{}
			result, err := run(t.Context(), device, "whole-"+filepath.Base(device), false, func(e train.Event) {
				if e.Step > 0 {
					losses[device][e.Step] = e.Loss
				}
			})
			require.NoError(t, err)
			assert.Equal(t, result.Planned, result.Used)
			whole[device], err = method.ReadTensors(filepath.Join(result.Output, c.file))
			require.NoError(t, err)
		}
		require.Len(t, losses["cpu"], steps)
		for _, order := range [][2]string{{"cpu", traced}, {traced, "cpu"}} {
			name := fmt.Sprintf("%s/%s to %s", c.name, filepath.Base(order[0]), filepath.Base(order[1]))
			t.Run(name, func(t *testing.T) {
				out := "from-" + filepath.Base(order[0])
				ctx, cancel := context.WithCancel(t.Context())
				_, err := run(ctx, order[0], out, false, func(e train.Event) {
					if e.Step == stop {
						cancel()
					}
				})
				require.ErrorIs(t, err, failure.ErrPreempted)
				seen := 0
				result, err := run(t.Context(), order[1], out, true, func(e train.Event) {
					if e.Step == 0 {
						return
					}
					seen++
					assert.Greater(t, e.Step, stop)
					for device := range losses {
						assert.InEpsilon(t, losses[device][e.Step], e.Loss, 2*close, "step %d beside the whole run on %s", e.Step, device)
					}
				})
				require.NoError(t, err)
				assert.Equal(t, steps-stop, seen)
				got, err := method.ReadTensors(filepath.Join(result.Output, c.file))
				require.NoError(t, err)
				for device, all := range whole {
					require.Len(t, got, len(all))
					for tensor, want := range all {
						assert.Less(t, distance(want, got[tensor]), 100*close, "%s beside the whole run on %s", tensor, device)
					}
				}
			})
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/pjrt"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/train"
)

// TestPJRTDemo runs the demo's task in a shortened form, ten steps over a
// smaller base in float32: the losses on a plugin are those of the CPU.
func TestPJRTDemo(t *testing.T) {
	plugin := os.Getenv("GRAFT_PJRT_PLUGIN")
	if plugin == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	whole, all := recipe, folders
	t.Cleanup(func() { recipe, folders = whole, all })
	folders = []string{"bufio", "bytes", "errors", "slices", "sort", "strconv", "strings"}
	recipe.Vocab, recipe.Steps, recipe.Sequence = 512, 20, 64
	recipe.Config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
 "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
 "vocab_size": 512, "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
 "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "float32"}`
	sources, err := readSources(t.Context())
	require.NoError(t, err)
	base, data := filepath.Join(t.TempDir(), "base"), filepath.Join(t.TempDir(), "tasks.jsonl")
	require.NoError(t, pretrain(t.Context(), sources, base))
	require.NoError(t, writeLines(data, sources.tasks))
	losses := map[string][]float64{}
	for _, device := range []string{"cpu", "pjrt:" + plugin} {
		text := tuning(device, base, data, filepath.Join(t.TempDir(), "run"))
		c, err := config.Parse("demo", []byte(text), []string{"model.dtype=f32", "train.max_steps=10", "data.val_set_size=16"})
		require.NoError(t, err)
		run, err := graft.Prepare(t.Context(), c, graft.Options{})
		require.NoError(t, err)
		result, err := run.Train(t.Context(), false, func(e train.Event) {
			if e.Step > 0 {
				losses[device] = append(losses[device], e.Loss)
			}
		})
		require.NoError(t, err)
		losses[device] = append(losses[device], *result.EvalBefore, *result.EvalAfter)
		require.NoError(t, run.Close())
	}
	require.Len(t, losses["cpu"], 12)
	for i, want := range losses["cpu"] {
		assert.InEpsilon(t, want, losses["pjrt:"+plugin][i], 1e-5, "%d", i)
	}
	assert.Less(t, losses["cpu"][11], losses["cpu"][10], "it learns")
	assert.Zero(t, pjrt.Live(), "every buffer is freed")
}

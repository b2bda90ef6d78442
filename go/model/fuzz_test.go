package model_test

import (
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/require"
)

// FuzzParseConfig asserts that any config.json is a model with shapes or an
// error of data or configuration.
func FuzzParseConfig(f *testing.F) {
	const llama = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64,
		"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 128,
		"rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": false, "torch_dtype": "float32"`
	for _, seed := range []string{
		llama + "}", llama + `, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}`,
		llama + `, "head_dim": -1}`, `{"model_type": "qwen3"}`, `{"model_type": "mistral", "sliding_window": 4096}`, "[]", "{", `{"hidden_size": 1e30}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		bounded.Run(t, 4+uint64(len(raw))>>12, func() {
			c, err := model.ParseConfig("config.json", raw)
			if err == nil {
				require.Positive(t, c.Vocab)
				require.Positive(t, c.MaxPositions)
				return
			}
			require.NotEqual(t, failure.Code(failure.ErrInternal), failure.Code(err), "%v", err)
		})
	})
}

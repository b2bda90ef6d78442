package graft_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method/promptlearning"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// place is a base of random weights, large enough that attention matters, and
// records after some tokens, or none. No first token of a record is a target.
func place(t *testing.T, before []int32) (dir string) {
	t.Helper()
	dir = t.TempDir()
	llama := `{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "initializer_range": 0.4,
		"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 32, "max_position_embeddings": 32, "torch_dtype": "float32"}`
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "base"), []byte(llama), nil, "F32", 1))
	f, err := os.Create(filepath.Join(dir, "train.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	for i := range int32(8) {
		ids, labels := append([]int32(nil), before...), []int32{}
		for range before {
			labels = append(labels, -100)
		}
		for j := range 4 + i%3 {
			id := (7*i + 5*j) % 32
			ids, labels = append(ids, id), append(labels, id)
			if j == 0 {
				labels[len(labels)-1] = -100
			}
		}
		require.NoError(t, json.NewEncoder(f).Encode(map[string]any{"input_ids": ids, "labels": labels}))
	}
	return dir
}

func prepare(t *testing.T, dir, method, data string) (*graft.Run, error) {
	t.Helper()
	c, err := config.Parse("run.yaml", fmt.Appendf(nil, `
device: auto
model: {path: %q}
method: {%s}
data: {train: %q, eval: %q, %s}
train: {max_steps: 2, micro_batch_size: 2, gradient_accumulation_steps: 1, output_dir: %q}
`, filepath.Join(dir, "base"), method, filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "train.jsonl"), data, filepath.Join(dir, "run")), nil)
	require.NoError(t, err)
	run, err := graft.Prepare(context.Background(), c, graft.Options{})
	if err == nil {
		t.Cleanup(func() { run.Close() })
	}
	return run, err
}

// TestVirtualTokensBeginAsTheTokens: a prompt, or a prefix, that begins as
// tokens has the loss of the base over records that begin with them.
func TestVirtualTokensBeginAsTheTokens(t *testing.T) {
	ids := promptlearning.Start{Init: promptlearning.Vocab}.Choose(5, 32, 42)
	base, err := prepare(t, place(t, ids), "type: lora, r: 1", "max_seq_length: 20") // B is zero
	require.NoError(t, err)
	want, err := base.Evaluate(t.Context())
	require.NoError(t, err)
	for _, method := range []string{"prompt", "prefix"} {
		t.Run(method, func(t *testing.T) {
			run, err := prepare(t, place(t, nil), "type: "+method+", num_virtual_tokens: 5", "max_seq_length: 20")
			require.NoError(t, err)
			got, err := run.Evaluate(t.Context())
			require.NoError(t, err)
			assert.InEpsilon(t, want.Loss, got.Loss, 1e-5)
			assert.InDelta(t, want.Accuracy, got.Accuracy, 1e-6)
			assert.True(t, got.Accuracy >= 0 && got.Accuracy <= 1, "accuracy %v", got.Accuracy)

			run, err = prepare(t, place(t, nil), "type: "+method+", num_virtual_tokens: 5, init: random", "max_seq_length: 20")
			require.NoError(t, err)
			got, err = run.Evaluate(t.Context())
			require.NoError(t, err)
			assert.NotEqual(t, want.Loss, got.Loss)
		})
	}
}

// TestVirtualTokensThatDoNotFit: the settings are refused, with what to do.
func TestVirtualTokensThatDoNotFit(t *testing.T) {
	dir := place(t, nil)
	for method, says := range map[string]string{
		"type: prompt, num_virtual_tokens: 32":               "32 virtual tokens leave no room in a context of 32",
		"type: prefix, num_virtual_tokens: 99":               "99 virtual tokens leave no room in a context of 32",
		"type: prompt, num_virtual_tokens: 13":               "13 virtual tokens and data.max_seq_length 20 are beyond max_position_embeddings 32",
		"type: prompt, init: text":                           "there is no method.init_text",
		"type: prompt, init: gaussian":                       `"gaussian" is nothing for method.type prompt; use random, vocab, text`,
		"type: prefix, init: vocab, init_text: a":            "method.init is vocab; use text, or remove the text",
		"type: prefix, prefix_projection: true, init: vocab": "which a projection computes itself",
		"type: lora, init: vocab":                            `"vocab" is nothing for method.type lora`,
	} {
		_, err := prepare(t, dir, method, "max_seq_length: 20")
		require.ErrorIs(t, err, failure.ErrConfig, method)
		assert.ErrorContains(t, err, says)
	}
	_, err := prepare(t, dir, "type: prompt, init_text: hello", "max_seq_length: 20")
	require.ErrorIs(t, err, failure.ErrNoInput)
	assert.ErrorContains(t, err, "no tokenizer.json")

	// A length that is a default makes room.
	run, err := prepare(t, dir, "type: prompt, num_virtual_tokens: 13", "")
	require.NoError(t, err)
	assert.Equal(t, 19, run.Config.Data.MaxSeqLength)
}

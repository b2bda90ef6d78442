package export

import (
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProgress: each way of writing a model tells how far it is, never backwards,
// and comes to its end.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	config := []byte(`{"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 32, "max_position_embeddings": 32, "torch_dtype": "float32"}`)
	require.NoError(t, Random(t.Context(), filepath.Join(dir, "base"), config, nil, "F32", 1))
	base, err := hub.Open(filepath.Join(dir, "base"))
	require.NoError(t, err)
	defer base.Close()
	c, err := model.ParseConfig("config.json", base.Config.Bytes())
	require.NoError(t, err)
	m := model.New(c)
	require.NoError(t, lora.Config{R: 2, Alpha: 2, Targets: []string{"all-linear"}}.Attach(m, 1))
	values := map[string][]float32{}
	for _, p := range m.Params.Trainable() {
		values[p.Name] = normals(p.Len(), 1)
	}
	for name, run := range map[string]func(out string, tell Progress) error{
		"merge":    func(out string, tell Progress) error { return Merge(t.Context(), nil, base, m, values, out, tell) },
		"quantize": func(out string, tell Progress) error { return Quantize(t.Context(), nil, base, m, true, out, tell) },
		"both": func(out string, tell Progress) error {
			_, err := MergeNF4(t.Context(), nil, base, m, values, true, out, tell)
			return err
		},
	} {
		last, total, calls := int64(0), int64(0), 0
		require.NoError(t, run(filepath.Join(dir, name), func(done, of int64) {
			assert.GreaterOrEqual(t, done, last, name)
			last, total, calls = done, of, calls+1
		}), name)
		assert.Equal(t, total, last, name)
		assert.Greater(t, calls, 14, name)
	}
}

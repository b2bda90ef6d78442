package parity_test

import (
	"os"
	"slices"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt/trace"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/stretchr/testify/require"
)

// TestModules holds the modules of a tiny model to golden text, so that a
// change of what is traced is seen. GOLDEN=write writes them anew. Reading the
// programs twice gives the same text: nothing that changes from step to step is
// a constant of a module.
func TestModules(t *testing.T) {
	const config = `{"model_type":"llama","hidden_size":8,"intermediate_size":12,"num_hidden_layers":1,"num_attention_heads":2,
 "num_key_value_heads":1,"vocab_size":16,"max_position_embeddings":64,"rms_norm_eps":1e-5,"tie_word_embeddings":true}`
	c, err := model.ParseConfig("config.json", []byte(config))
	require.NoError(t, err)
	m := model.New(c)
	require.NoError(t, lora.Config{R: 2, Alpha: 4, Dropout: 0.1, Targets: []string{"q_proj", "down_proj"}}.Attach(m, 1))
	bucket := nn.Bucket{Tokens: 8, Sequences: 2, Targets: 4}
	job := plan.Job{
		Model: m, Types: nn.Float32, Profile: bindings.PJRTProfile(), Train: []nn.Bucket{bucket},
		Hyper: nn.Hyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1},
	}
	placed := job.Place(bindings.NewMemory())
	for name, program := range map[string]func(bindings.Ops){"clear": placed.Clear, "micro": placed.Micro(bucket), "update": placed.Update} {
		first, err := trace.Read(name, job.Profile, program, nil)
		require.NoError(t, err)
		second, err := trace.Read(name, job.Profile, program, nil)
		require.NoError(t, err)
		require.Equal(t, first.Text, second.Text)
		for i, arg := range first.Args {
			require.Equal(t, slices.Contains(first.Results, arg), first.Donated[i], "%v", arg)
			require.True(t, !first.Donated[i] || arg.Slot.Space == bindings.Trainable, "%v is donated", arg)
		}
		path := "testdata/modules/" + name + ".mlir"
		if os.Getenv("GOLDEN") == "write" {
			require.NoError(t, os.MkdirAll("testdata/modules", 0o755))
			require.NoError(t, os.WriteFile(path, []byte(first.Text), 0o644))
		}
		golden, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(golden), first.Text)
	}
}

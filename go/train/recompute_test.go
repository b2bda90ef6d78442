package train_test

import (
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/head"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	deep    = `{"model_type":"qwen3","hidden_size":32,"intermediate_size":40,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"vocab_size":53}`
	encoder = `{"model_type":"bert","hidden_size":32,"intermediate_size":40,"num_hidden_layers":4,"num_attention_heads":4,"vocab_size":53,"max_position_embeddings":64,"type_vocab_size":2,"layer_norm_eps":1e-12}`
)

// labelled are two rows with classes.
func labelled(seed uint64, m *model.Model) data.MicroBatch {
	rows := documents(seed, m.Config.Vocab)
	for i := range rows {
		rows[i].Labels, rows[i].Labelled, rows[i].Class = nil, true, int32(i)
	}
	return data.Flatten(rows)
}

// TestRecomputationIsExact: whatever number of blocks runs again, the values
// after three steps have the same bits, those of dropout included, and planned
// is used.
func TestRecomputationIsExact(t *testing.T) {
	type setting struct {
		config string
		how    method.Method
		batch  func(uint64, *model.Model) data.MicroBatch
	}
	dropout := lora.Config{R: 3, Alpha: 6, Targets: []string{"all-linear"}, Dropout: 0.2}
	dora := dropout
	dora.DoRA = true
	upper := lora.Config{R: 3, Alpha: 6, Targets: []string{"q_proj", "down_proj"}, Dropout: 0.2, Layers: []int{1, 3}}
	classes := data.Labels{Task: data.SingleLabel, Names: []string{"a", "b"}}
	settings := map[string]setting{
		"dropout": {deep, dropout, batchFor}, "dora": {deep, dora, batchFor}, "upper layers": {deep, upper, batchFor},
		"head over a decoder":  {deep, head.Config{Labels: classes, Pooling: "auto", Beneath: lora.Config{R: 3, Alpha: 6, Targets: []string{"q_proj", "o_proj"}, Dropout: 0.2}}, labelled},
		"head over an encoder": {encoder, head.Config{Labels: classes, Pooling: "auto", Beneath: lora.Config{R: 3, Alpha: 6, Targets: []string{"query", "output.dense"}, Dropout: 0.2}}, labelled},
	}
	for name, m := range methods {
		settings[name] = setting{deep, m, batchFor}
	}
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			for _, types := range []nn.Types{nn.Float32, nn.BFloat} {
				var kept []float32
				var most int64
				for _, n := range []int{0, 1, 3, 4} {
					e := openJob(t, native.CPU(native.Options{Threads: 2}), types, s.config, s.how, s.batch, func(j *plan.Job) {
						j.Recompute = map[nn.Bucket]int{j.Train[0]: n}
					})
					for step := range 3 {
						r, err := e.Step(step, 1e-2, []data.MicroBatch{s.batch(uint64(2*step), e.Model), s.batch(uint64(2*step+1), e.Model)})
						require.NoError(t, err)
						require.Positive(t, r.GradNorm)
					}
					_, err := e.Evaluate([]data.MicroBatch{s.batch(9, e.Model)})
					require.NoError(t, err)
					assert.Equal(t, e.Planned(), e.Used(), "planned and used bytes")
					v, err := model.Download(e.Device(), e.Model.Params.Values)
					require.NoError(t, err)
					if n == 0 {
						kept, most = v, e.Planned().Total()
					}
					assert.Equal(t, kept, v, "%d of 4 blocks run again", n)
					assert.LessOrEqual(t, e.Planned().Total(), most, "more blocks that run again never need more")
					most = e.Planned().Total()
				}
			}
		})
	}
}

// TestCheckpointFitsTheLimit: for each limit between what all kept and none
// kept need, as few blocks as fit run again, each bucket by itself.
func TestCheckpointFitsTheLimit(t *testing.T) {
	c, err := model.ParseConfig("config.json", []byte(deep))
	require.NoError(t, err)
	m := model.New(c)
	require.NoError(t, lora.Config{R: 3, Alpha: 6, Targets: []string{"all-linear"}, Dropout: 0.2}.Attach(m, 7))
	large, small := nn.Bucket{Tokens: 64, Sequences: 2, Targets: 8}, nn.Bucket{Tokens: 48, Sequences: 2, Targets: 8}
	job := plan.Job{Model: m, Types: nn.Float32, Profile: bindings.CPUProfile(2), Train: []nn.Bucket{large, small}, Eval: []nn.Bucket{small}}
	count := func() int64 {
		p, err := job.Count()
		require.NoError(t, err)
		return p.Bytes.Total()
	}
	require.NoError(t, job.Checkpoint(plan.KeepAll, 1))
	assert.Empty(t, job.Recompute)
	kept := count()
	require.NoError(t, job.Checkpoint(plan.ToFit, 0))
	assert.Empty(t, job.Recompute, "without a limit nothing runs again")
	require.NoError(t, job.Checkpoint(plan.RunAll, 0))
	assert.Equal(t, map[nn.Bucket]int{large: 4, small: 4}, job.Recompute)
	least := count()
	require.Less(t, least, kept)

	apart, seen := false, map[int]bool{}
	for limit := kept; limit >= least; limit -= 4 << 10 {
		require.NoError(t, job.Checkpoint(plan.ToFit, limit))
		require.LessOrEqual(t, count(), limit)
		n := job.Recompute[large]
		apart, seen[n] = apart || job.Recompute[small] < n, true
		if n > 0 {
			job.Recompute[large]--
			require.Greater(t, count(), limit, "one less does not fit")
		}
	}
	assert.GreaterOrEqual(t, len(seen), 4, "%v", seen)
	assert.True(t, apart, "a smaller bucket keeps more")
	require.NoError(t, job.Checkpoint(plan.ToFit, 1))
	assert.Equal(t, map[nn.Bucket]int{large: 4, small: 4}, job.Recompute, "where nothing fits, all run again")
	assert.Error(t, job.Checkpoint("some", 0))
}

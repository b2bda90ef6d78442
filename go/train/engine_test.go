package train_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/method/prefix"
	"github.com/graftlm/graft/go/method/prompt"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configs are tiny models that break wrong code: grouped heads, a head_dim
// that is not hidden/heads, biases, norms of heads, a window, tied heads.
var configs = map[string]string{
	"llama":   `{"model_type":"llama","hidden_size":32,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":53,"rms_norm_eps":1e-5,"rope_theta":10000,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":16}}`,
	"mistral": `{"model_type":"mistral","hidden_size":32,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"vocab_size":53,"rms_norm_eps":1e-5,"sliding_window":4}`,
	"qwen2":   `{"model_type":"qwen2","hidden_size":32,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":1,"vocab_size":53,"tie_word_embeddings":true}`,
	"qwen3":   `{"model_type":"qwen3","hidden_size":32,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"vocab_size":53}`,
}

var methods = map[string]method.Method{
	"full": full.Config{},
	"lora": lora.Config{R: 3, Alpha: 6, Targets: []string{"all-linear"}},
	"qv":   lora.Config{R: 4, Alpha: 8, Targets: []string{"q_proj", "v_proj"}, RSLoRA: true},

	"prompt":           prompt.Config{Tokens: 3},
	"ptuning":          prompt.Config{Tokens: 3, PTuning: true, Hidden: 5},
	"prefix":           prefix.Config{Tokens: 3},
	"prefix projected": prefix.Config{Tokens: 3, Projection: true, Hidden: 5},
}

// documents are two random rows with some tokens masked.
func documents(seed uint64, vocab int) []data.Row {
	r := rand.New(rand.NewPCG(seed, 1))
	row := func(n int) data.Row {
		x := data.Row{}
		for i := range n {
			id := int32(r.IntN(vocab))
			x.IDs = append(x.IDs, id)
			if i%3 == 1 {
				id = data.Masked
			}
			x.Labels = append(x.Labels, id)
		}
		return x
	}
	return []data.Row{row(7), row(9)}
}

func batch(seed uint64, vocab int) data.MicroBatch { return data.Flatten(documents(seed, vocab)) }

// batchFor is the same for a model; with a prompt in a bucket that has a tail
// and room for a sequence that is not there.
func batchFor(seed uint64, m *model.Model) data.MicroBatch {
	b := data.FlattenPrompted(documents(seed, m.Config.Vocab), m.Row.Virtual)
	if m.Row.Virtual == 0 {
		return b
	}
	return b.Fill(data.Bucket{Tokens: len(b.IDs) + 3, Sequences: 4, Targets: len(b.Rows) + 1})
}

func open(t *testing.T, b bindings.Backend, types nn.Types, config string, m method.Method) *train.Engine {
	t.Helper()
	return openJob(t, b, types, config, m, batchFor, nil)
}

// openJob is open for other batches, and a job that change changes.
func openJob(t *testing.T, b bindings.Backend, types nn.Types, config string, m method.Method, batch func(uint64, *model.Model) data.MicroBatch, change func(*plan.Job)) *train.Engine {
	t.Helper()
	c, err := model.ParseConfig("config.json", []byte(config))
	require.NoError(t, err)
	md := model.New(c)
	require.NoError(t, m.Attach(md, 7))
	b1 := batch(1, md)
	bucket := nn.Bucket{Tokens: len(b1.IDs), Sequences: len(b1.Cu) - 1, Targets: len(b1.Rows)}
	j := plan.Job{
		Model: md, Types: types, Profile: b.Profile(), Train: []nn.Bucket{bucket}, Eval: []nn.Bucket{bucket},
		Hyper: nn.Hyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1},
	}
	if change != nil {
		change(&j)
	}
	e, err := train.NewEngine(b, j, 11)
	require.NoError(t, err)
	t.Cleanup(func() { e.Close() })
	require.NoError(t, e.Init())
	for i, p := range md.Params.All { // random weights; B too, so that its part counts
		v := make([]float32, p.Len())
		r := rand.New(rand.NewPCG(uint64(i), 2))
		for j := range v {
			v[j] = float32(r.NormFloat64() * 0.1)
			if len(p.Shape) == 1 {
				v[j]++
			}
		}
		require.NoError(t, model.Upload(e.Device(), p.Value, v))
	}
	return e
}

// TestGradientsAgainstFiniteDifferences moves single parameters in float64 and
// looks at the loss: the whole step, every family, every method.
func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	for family, config := range configs {
		for name, m := range methods {
			t.Run(family+"/"+name, func(t *testing.T) {
				e := open(t, reference.New(reference.Float64), nn.Float64, config, m)
				b := []data.MicroBatch{batchFor(1, e.Model)}
				before := map[string][]float32{}
				for _, p := range e.Model.Params.Trainable() {
					v, err := e.Values(p.Name)
					require.NoError(t, err)
					before[p.Name] = v
				}
				_, err := e.Step(0, 0, b)
				require.NoError(t, err)
				// The float64 device keeps what float32 rounds: set all of it anew.
				require.NoError(t, e.SetValues(before))
				loss := func(p *nn.Param, i int, to float64) float64 {
					raw := make([]byte, p.Value.Bytes())
					require.NoError(t, e.Device().Download(raw, p.Value))
					old := math.Float64frombits(leUint64(raw[8*i:]))
					putUint64(raw[8*i:], math.Float64bits(old+to))
					require.NoError(t, e.Device().Upload(p.Value, raw))
					l := lossOf(t, e, b)
					putUint64(raw[8*i:], math.Float64bits(old))
					require.NoError(t, e.Device().Upload(p.Value, raw))
					return l
				}
				r := rand.New(rand.NewPCG(5, 5))
				for _, p := range e.Model.Params.Trainable() {
					g := gradient(t, e, p)
					scale := 0.0
					for _, x := range g {
						scale = max(scale, math.Abs(x))
					}
					for range 3 {
						i := r.IntN(p.Len())
						const h = 1e-5
						numeric := (loss(p, i, h) - loss(p, i, -h)) / (2 * h)
						// Central differences err by h²·|third derivative| ≈ 1e-10 and
						// by 1e-16/h ≈ 1e-11, against gradients of this scale.
						assert.InDelta(t, numeric, g[i], 1e-6*scale+1e-9, "%s[%d]", p.Name, i)
					}
				}
			})
		}
	}
}

// TestDevicesAgree runs ten steps on the native CPU in float32 and on the
// reference in float64. Losses and gradient norms stay within 1e-5.
func TestDevicesAgree(t *testing.T) {
	for family, config := range configs {
		for name, m := range methods {
			t.Run(family+"/"+name, func(t *testing.T) {
				want := open(t, reference.New(reference.Float64), nn.Float64, config, m)
				got := open(t, native.CPU(native.Options{Threads: 2}), nn.Float32, config, m)
				for step := range 10 {
					b := []data.MicroBatch{batchFor(uint64(2*step), want.Model), batchFor(uint64(2*step+1), want.Model)}
					w, err := want.Step(step, 1e-3, b)
					require.NoError(t, err)
					g, err := got.Step(step, 1e-3, b)
					require.NoError(t, err)
					assert.InEpsilon(t, w.Loss, g.Loss, 1e-5, "loss of step %d", step)
					assert.InEpsilon(t, w.GradNorm, g.GradNorm, 1e-5, "gradient norm of step %d", step)
					assert.Equal(t, step+1, g.Applied)
				}
				assert.Equal(t, got.Planned(), got.Used(), "planned and used bytes")
			})
		}
	}
}

// TestThreadsDoNotMatter: the same bits with one thread and with two.
func TestThreadsDoNotMatter(t *testing.T) {
	for _, types := range []nn.Types{nn.Float32, nn.BFloat} {
		t.Run(fmt.Sprint(types), func(t *testing.T) {
			for _, name := range []string{"lora", "ptuning", "prefix projected"} {
				var all [][]float32
				for threads := 1; threads <= 2; threads++ {
					e := open(t, native.CPU(native.Options{Threads: threads}), types, configs["llama"], methods[name])
					for step := range 3 {
						_, err := e.Step(step, 1e-3, []data.MicroBatch{batchFor(uint64(step), e.Model)})
						require.NoError(t, err)
					}
					v, err := model.Download(e.Device(), e.Model.Params.Values)
					require.NoError(t, err)
					all = append(all, v)
				}
				assert.Equal(t, all[0], all[1])
			}
		})
	}
}

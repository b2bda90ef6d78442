package train_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blocks is a model whose linear layers have whole blocks of 64 inputs; q, k and
// v have biases, which stay as they are.
const blocks = `{"model_type":"qwen2","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":53,"tie_word_embeddings":true}`

// random is a checkpoint of float32 numbers that depend on names alone.
type random map[string][]int

func (r random) Lookup(name string) (safetensors.DType, []int, bool) {
	shape, ok := r[name]
	return safetensors.F32, shape, ok
}

func (r random) Names() (all []string) {
	for n := range r {
		all = append(all, n)
	}
	return all
}

func (r random) ReadAt(name string, dst []byte, offset int64) error {
	for i := 0; i < len(dst); i += 4 {
		h := rand.New(rand.NewPCG(uint64(len(name)*1000+int(name[len(name)-8])), uint64(offset)+uint64(i)))
		v := h.NormFloat64() * 0.2
		if len(r[name]) == 1 {
			v = 1 + v/4
		}
		binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(float32(v)))
	}
	return nil
}

// quantized opens an engine over a random base.
func quantized(t *testing.T, b bindings.Backend, types nn.Types, quant model.Quantization, double bool) *train.Engine {
	t.Helper()
	c, err := model.ParseConfig("config.json", []byte(blocks))
	require.NoError(t, err)
	m := model.New(c)
	base := random{}
	for _, p := range m.Base() {
		base[p.Name] = p.Shape
	}
	require.NoError(t, lora.Config{R: 3, Alpha: 6, Targets: []string{"all-linear"}, Dropout: 0.1}.Attach(m, 7))
	require.NoError(t, m.Quantize(base, quant, double))
	bucket := nn.Bucket{Tokens: 16, Sequences: 2, Targets: len(batch(1, c.Vocab).Rows)}
	e, err := train.NewEngine(b, plan.Job{
		Model: m, Types: types, Profile: b.Profile(), Train: []nn.Bucket{bucket}, Eval: []nn.Bucket{bucket},
		Hyper: nn.Hyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1},
	}, 11)
	require.NoError(t, err)
	t.Cleanup(func() { e.Close() })
	require.NoError(t, e.Init())
	require.NoError(t, m.Load(t.Context(), e.Device(), e.Planned(), base, nil))
	values := map[string][]float32{}
	for i, p := range m.Params.Trainable() { // B too, so that A has a gradient
		v, r := make([]float32, p.Len()), rand.New(rand.NewPCG(uint64(i), 2))
		for j := range v {
			v[j] = float32(r.NormFloat64() * 0.1)
		}
		values[p.Name] = v
	}
	require.NoError(t, e.SetValues(values))
	return e
}

// TestQLoRAGradients: a base in four bits, against finite differences.
func TestQLoRAGradients(t *testing.T) {
	for _, double := range []bool{true, false} {
		e := quantized(t, reference.New(reference.Float64), nn.Float64, model.QuantNF4, double)
		b := []data.MicroBatch{batch(1, e.Model.Config.Vocab)}
		before := map[string][]float32{}
		for _, p := range e.Model.Params.Trainable() {
			v, err := e.Values(p.Name)
			require.NoError(t, err)
			before[p.Name] = v
		}
		// The loss is that of the step itself, for its dropout masks.
		report, err := e.Step(0, 0, b)
		require.NoError(t, err)
		require.Positive(t, report.Loss)
		gradients := map[string][]float64{}
		for _, p := range e.Model.Params.Trainable() {
			gradients[p.Name] = gradient(t, e, p)
		}
		loss := func(p *nn.Param, i int, h float64) float64 {
			require.NoError(t, e.SetValues(before))
			raw := make([]byte, p.Value.Bytes())
			require.NoError(t, e.Device().Download(raw, p.Value))
			putUint64(raw[8*i:], math.Float64bits(math.Float64frombits(leUint64(raw[8*i:]))+h))
			require.NoError(t, e.Device().Upload(p.Value, raw))
			_, err := e.Step(0, 0, b)
			require.NoError(t, err)
			out := make([]byte, e.Placed.Report.Tensor().Bytes())
			require.NoError(t, e.Device().Download(out, e.Placed.Report.Tensor()))
			return math.Float64frombits(leUint64(out))
		}
		r := rand.New(rand.NewPCG(5, 5))
		for _, p := range e.Model.Params.Trainable() {
			g := gradients[p.Name]
			scale := math.Abs(slices.MaxFunc(g, func(a, b float64) int {
				if math.Abs(a) < math.Abs(b) {
					return -1
				}
				return 1
			}))
			i, h := r.IntN(p.Len()), 1e-5
			numeric := (loss(p, i, h) - loss(p, i, -h)) / (2 * h)
			assert.InDelta(t, numeric, g[i], 1e-6*scale+1e-9, "%s[%d]", p.Name, i)
		}
	}
}

// TestQLoRAPlan: the saving that the plan names is what the plan of the same
// run in 16 bits has more; and planned is used.
func TestQLoRAPlan(t *testing.T) {
	b := native.CPU(native.Options{Threads: 2})
	four := quantized(t, b, nn.BFloat, model.QuantNF4, true)
	dense := quantized(t, b, nn.BFloat, model.QuantNone, true)
	p, err := four.Job.Count()
	require.NoError(t, err)
	require.Positive(t, p.Parts.Saved)
	assert.Equal(t, dense.Planned().Total()-four.Planned().Total(), p.Parts.Saved)
	for _, e := range []*train.Engine{four, dense} {
		_, err := e.Step(0, 1e-3, []data.MicroBatch{batch(1, 53)})
		require.NoError(t, err)
		_, err = e.Evaluate([]data.MicroBatch{batch(1, 53)})
		require.NoError(t, err)
		assert.Equal(t, e.Planned(), e.Used())
	}
}

// TestQLoRAThreads: the same bits with one thread and with two.
func TestQLoRAThreads(t *testing.T) {
	for _, types := range []nn.Types{nn.Float32, nn.BFloat} {
		var all [][]float32
		for threads := 1; threads <= 2; threads++ {
			e := quantized(t, native.CPU(native.Options{Threads: threads}), types, model.QuantNF4, true)
			for step := range 3 {
				_, err := e.Step(step, 1e-3, []data.MicroBatch{batch(uint64(step), 53)})
				require.NoError(t, err)
			}
			v, err := model.Download(e.Device(), e.Model.Params.Values)
			require.NoError(t, err)
			all = append(all, v)
		}
		assert.Equal(t, all[0], all[1])
	}
}

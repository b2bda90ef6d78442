package generate

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

// configs are tiny models, one of each family, with what sets it apart: scaled
// rotary positions, a sliding window, biases and a tied head, norms of heads.
var configs = map[string]string{
	"llama": `{"model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": %d, "max_position_embeddings": 512,
		"rope_scaling": {"rope_type": "llama3", "factor": 4, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}}`,
	"mistral": `{"model_type": "mistral", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": %d, "max_position_embeddings": 512, "sliding_window": 5}`,
	"qwen2": `{"model_type": "qwen2", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 1, "vocab_size": %d, "max_position_embeddings": 512, "tie_word_embeddings": true}`,
	"qwen3": `{"model_type": "qwen3", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "head_dim": 6,
		"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": %d, "max_position_embeddings": 512}`,
}

const vocab = 61

func tiny(t testing.TB, family string, vocab int) *model.Model {
	c, err := model.ParseConfig(family, fmt.Appendf(nil, configs[family], vocab))
	require.NoError(t, err)
	return model.New(c)
}

// weights is a checkpoint of random numbers, each a function of the name of
// its tensor and its place: large enough for answers that do not repeat.
type weights struct{ m *model.Model }

func (w weights) find(name string) *nn.Param {
	for _, p := range w.m.Base() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (w weights) Names() (all []string) {
	for _, p := range w.m.Base() {
		all = append(all, p.Name)
	}
	return all
}

func (w weights) Lookup(name string) (safetensors.DType, []int, bool) {
	p := w.find(name)
	if p == nil {
		return "", nil, false
	}
	return "F32", p.Shape, true
}

func (w weights) ReadAt(name string, dst []byte, offset int64) error {
	p := w.find(name)
	for i := 0; i < len(dst); i += 4 {
		v := uniform(name, int(offset)/4+i/4)
		switch {
		case strings.Contains(name, "norm"):
			v = 1 + 0.3*v
		case len(p.Shape) == 2 && name != "model.embed_tokens.weight":
			v *= 3 / float32(math.Sqrt(float64(p.Shape[1])))
		}
		binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(v))
	}
	return nil
}

// uniform is between -1 and 1.
func uniform(name string, i int) float32 {
	key := [2]uint32{1, 2}
	for _, r := range name {
		key[0] = key[0]*31 + uint32(r)
	}
	return float32(bindings.Philox([4]uint32{uint32(i)}, key)[0])/(1<<31) - 1
}

// adapter gives every parameter of the model's adapters a value of its own.
func adapter(m *model.Model, name string) map[string][]float32 {
	values := map[string][]float32{}
	for _, p := range m.Params.Trainable() {
		v := make([]float32, p.Len())
		for i := range v {
			v[i] = uniform(name+p.Name, i) / 2
		}
		values[p.Name] = v
	}
	return values
}

func withLoRA(t testing.TB, m *model.Model) *model.Model {
	require.NoError(t, lora.Config{R: 3, Alpha: 6, Targets: []string{"q_proj", "v_proj", "down_proj"}}.Attach(m, 1))
	return m
}

func open(t testing.TB, m *model.Model, o Options) *Generator {
	o.Model, o.Types, o.Source = m, nn.Float64, weights{m}
	g, err := Open(context.Background(), reference.New(reference.Float64), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

// recomputed gives the logits after a list of tokens from a program that has
// no cache and reads all of them, on a device of its own.
func recomputed(t testing.TB, m *model.Model, values map[string][]float32, ids []int32) []float64 {
	b := nn.Bucket{Tokens: len(ids), Sequences: 1, Targets: 1}
	var logits bindings.Tensor
	var in nn.Batch
	lay := func(mem *bindings.Memory) func(bindings.Ops) {
		m.Params.Layout(mem, nn.Float64, false)
		logits = mem.Alloc(bindings.Trainable, bindings.F64, 1, m.Config.Vocab)
		in = nn.NewStaging(mem, nn.Float64, []nn.Bucket{b}, m.Config.Rope.Dim/2, nn.PerSequence{}).Batch(b)
		return func(ops bindings.Ops) {
			r := nn.Reading{Ops: ops, Memory: mem, Profile: bindings.ReferenceProfile(), Types: nn.Float64}
			m.Decoder.Logits(r, logits, in.Rows, in)
		}
	}
	plan := bindings.Plan{bindings.Frozen: 1 << 20, bindings.Trainable: 1 << 20, bindings.Staging: 1 << 20, bindings.Activations: 8 << 20}
	program := lay(bindings.NewBoundedMemory(plan))
	dev, err := reference.New(reference.Float64).Open(plan)
	require.NoError(t, err)
	defer dev.Close()
	require.NoError(t, m.Load(context.Background(), dev, plan, weights{m}, nil))
	for _, p := range m.Params.Trainable() {
		require.NoError(t, model.Upload(dev, p.Value, values[p.Name]))
	}
	positions := make([]int32, len(ids))
	for i := range positions {
		positions[i] = int32(i)
	}
	for to, v := range map[bindings.Tensor][]int32{in.IDs: ids, in.Positions: positions, in.Cu: {0, int32(len(ids))}, in.Rows: {int32(len(ids) - 1)}} {
		require.NoError(t, dev.Upload(to, bindings.EncodeInts(v)))
	}
	require.NoError(t, model.Upload(dev, in.Freq, m.Config.Rope.Frequencies(len(ids))))
	p, err := dev.Prepare("logits", program)
	require.NoError(t, err)
	require.NoError(t, p.Launch())
	return doubles(t, dev, logits)
}

func doubles(t testing.TB, dev bindings.Device, x bindings.Tensor) []float64 {
	raw := make([]byte, x.Bytes())
	require.NoError(t, dev.Download(raw, x))
	out := make([]float64, x.Len())
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return out
}

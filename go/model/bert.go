package model

import (
	"fmt"
	"math"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/nn"
)

// encoderFields are the keys of config.json that BERT has and decoders have not.
type encoderFields struct {
	LayerNormEps *float64 `json:"layer_norm_eps"`
	Types        *int     `json:"type_vocab_size"`
	Positions    string   `json:"position_embedding_type"`
}

// activations are the values of hidden_act that encoders may have.
var activations = map[string]bindings.ActivationFunction{
	"": bindings.GELU, "gelu": bindings.GELU, "gelu_new": bindings.GELUTanh, "gelu_pytorch_tanh": bindings.GELUTanh,
	"relu": bindings.ReLU,
}

// encoder completes the config of a bidirectional model (transformers'
// BertConfig).
func (f *file) encoder(c Config) (Config, error) {
	act, ok := activations[f.Act]
	switch {
	case !ok:
		return c, fmt.Errorf("hidden_act is %q, want \"gelu\", \"gelu_new\" or \"relu\"", f.Act)
	case f.Positions != "" && f.Positions != "absolute":
		return c, fmt.Errorf("position_embedding_type is %q, want \"absolute\"", f.Positions)
	}
	c.Encoder, c.Activation, c.NormEps, c.Types = true, act, or(f.LayerNormEps, 1e-12), or(f.Types, 2)
	if c.Types < 1 || c.Types > 1<<16 {
		return c, fmt.Errorf("type_vocab_size is %d, want 1 to %d", c.Types, 1<<16)
	}
	if c.KVHeads != c.Heads || c.HeadDim*c.Heads != c.Hidden {
		return c, fmt.Errorf("%d heads of %d do not make up hidden_size %d", c.Heads, c.HeadDim, c.Hidden)
	}
	return c, nil
}

// newEncoder builds a BERT. Its parameters have the names of transformers'
// BertFor… classes; a checkpoint of BertModel has them without "bert.".
func newEncoder(m *Model, param func(string, ...int) *nn.Param) {
	c := m.Config
	linear := func(name string, out, in int) *nn.Linear {
		return &nn.Linear{Name: name, W: param(name+".weight", out, in), Bias: param(name+".bias", out)}
	}
	norm := func(name string) *nn.LayerNorm {
		return &nn.LayerNorm{W: param(name+".weight", c.Hidden), Bias: param(name+".bias", c.Hidden), Eps: c.NormEps}
	}
	e := &nn.Encoder{
		Hidden: c.Hidden,
		Words:  param("bert.embeddings.word_embeddings.weight", c.Vocab, c.Hidden),
		Places: param("bert.embeddings.position_embeddings.weight", c.MaxPositions, c.Hidden),
		Kinds:  param("bert.embeddings.token_type_embeddings.weight", c.Types, c.Hidden),
		Norm:   norm("bert.embeddings.LayerNorm"),
	}
	for i := range c.Layers {
		at := fmt.Sprintf("bert.encoder.layer.%d.", i)
		e.Blocks = append(e.Blocks, &nn.EncoderBlock{
			Attention: &nn.Attention{
				Heads: c.Heads, KVHeads: c.Heads, Dim: c.HeadDim, Scale: 1 / math.Sqrt(float64(c.HeadDim)), BothWays: true,
				Q: linear(at+"attention.self.query", c.Hidden, c.Hidden),
				K: linear(at+"attention.self.key", c.Hidden, c.Hidden),
				V: linear(at+"attention.self.value", c.Hidden, c.Hidden),
				O: linear(at+"attention.output.dense", c.Hidden, c.Hidden),
			},
			AttentionNorm: norm(at + "attention.output.LayerNorm"),
			Up:            linear(at+"intermediate.dense", c.Intermediate, c.Hidden),
			Down:          linear(at+"output.dense", c.Hidden, c.Intermediate),
			Norm:          norm(at + "output.LayerNorm"),
			Function:      c.Activation,
		})
	}
	m.Encoder = e
	m.unused = []string{"bert.pooler.", "pooler.", "cls.", "classifier.", "bert.embeddings.position_ids", "embeddings.position_ids"}
}

// Pooler adds BERT's pooler, which a head may want, to an encoder.
func (m *Model) Pooler() *nn.Linear {
	const name = "bert.pooler.dense"
	h := m.Config.Hidden
	l := &nn.Linear{
		Name: name,
		W:    m.Params.Add(&nn.Param{Name: name + ".weight", Shape: []int{h, h}}),
		Bias: m.Params.Add(&nn.Param{Name: name + ".bias", Shape: []int{h}}),
	}
	m.base = append(m.base, l.W, l.Bias)
	return l
}

// Names are those under which a checkpoint may have a parameter, the
// usual one first: without the prefix in checkpoints of base models, and gamma
// and beta in those of old BERTs.
func Names(name string) []string {
	all := []string{name}
	for _, prefix := range []string{"model.", "bert."} {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			all = append(all, short)
		}
	}
	if strings.Contains(name, ".LayerNorm.") {
		old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta")
		for _, n := range all {
			all = append(all, old.Replace(n))
		}
	}
	return all
}

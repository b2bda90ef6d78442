package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/graftlm/graft/go/nn"
)

// Model is a decoder or an encoder with the parameters it is made of, and what
// it is trained for.
type Model struct {
	Config  Config
	Decoder *nn.Decoder // nil for an encoder
	Encoder *nn.Encoder // nil for a decoder
	Params  *nn.Params
	// Objective is the decoder itself, unless a method puts another in its
	// place; an encoder has none of its own.
	Objective nn.Objective
	Row       nn.PerSequence // what the objective reads for each sequence
	Outputs   int            // numbers that it gives for each sequence; 0: none

	base   []*nn.Param // those of the checkpoint, before a method added its own
	unused []string    // beginnings of names that a checkpoint may have besides
}

// Body is the decoder or the encoder.
func (m *Model) Body() nn.Body {
	if m.Encoder != nil {
		return m.Encoder
	}
	return m.Decoder
}

// Linears lists the linear layers of all blocks.
func (m *Model) Linears() []*nn.Linear { return m.Body().Linears() }

// Blocks is their number.
func (m *Model) Blocks() int {
	if m.Encoder != nil {
		return len(m.Encoder.Blocks)
	}
	return len(m.Decoder.Blocks)
}

// Virtual is the number of positions that virtual tokens take before the first
// token of every sequence; Prefix is the part of them that are no rows of a
// micro-batch but keys and values.
func (m *Model) Virtual() int { return m.Row.Virtual + m.Prefix() }
func (m *Model) Prefix() int {
	if m.Decoder == nil {
		return 0
	}
	return m.Decoder.Prefix.Len()
}

// SetPrompt puts virtual tokens before every sequence of a decoder.
func (m *Model) SetPrompt(p *nn.Prompt) { m.Decoder.Prompt, m.Row.Virtual = p, p.Len() }

// Headless takes the output layer of a decoder away, unless it is the
// embedding: a head of another kind replaces it.
func (m *Model) Headless() {
	m.unused = append(m.unused, "score.", "lm_head.")
	if d := m.Decoder; d != nil && d.Head != d.Embed {
		is := func(p *nn.Param) bool { return p == d.Head }
		m.base, m.Params.All = slices.DeleteFunc(m.base, is), slices.DeleteFunc(m.Params.All, is)
		d.Head = nil
	}
}

// Bare takes everything away that the checkpoint has: a head over features
// that are known needs nothing of it.
func (m *Model) Bare() {
	is := func(p *nn.Param) bool { return slices.Contains(m.base, p) }
	m.Params.All = slices.DeleteFunc(m.Params.All, is)
	m.base = nil
}

// New builds the layers. All parameters are frozen and nothing has a place in
// memory yet: a method says next what is trained, then Params.Layout runs.
func New(c Config) *Model {
	m := &Model{Config: c, Params: &nn.Params{}}
	p := m.Params
	param := func(name string, shape ...int) *nn.Param { return p.Add(&nn.Param{Name: name, Shape: shape}) }
	if c.Encoder {
		newEncoder(m, param)
		m.base = append(m.base, p.All...)
		return m
	}
	d := &nn.Decoder{
		Hidden: c.Hidden, Vocab: c.Vocab, Rotary: c.Rope.Dim, RotaryScale: c.Rope.Scale(),
		Embed: param("model.embed_tokens.weight", c.Vocab, c.Hidden),
	}
	linear := func(name string, out, in int, bias bool) *nn.Linear {
		l := &nn.Linear{Name: name, W: param(name+".weight", out, in)}
		if bias {
			l.Bias = param(name+".bias", out)
		}
		return l
	}
	norm := func(name string, n int) *nn.RMSNorm {
		return &nn.RMSNorm{W: param(name+".weight", n), Eps: c.NormEps}
	}
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	for i := range c.Layers {
		at := fmt.Sprintf("model.layers.%d.", i)
		a := &nn.Attention{
			Heads: c.Heads, KVHeads: c.KVHeads, Dim: c.HeadDim, Rotary: c.Rope.Dim,
			Scale: 1 / math.Sqrt(float64(c.HeadDim)), Window: c.Windows[i],
			Q: linear(at+"self_attn.q_proj", q, c.Hidden, c.QKVBias),
			K: linear(at+"self_attn.k_proj", kv, c.Hidden, c.QKVBias),
			V: linear(at+"self_attn.v_proj", kv, c.Hidden, c.QKVBias),
			O: linear(at+"self_attn.o_proj", c.Hidden, q, c.OutBias),
		}
		if c.QKNorm {
			a.QNorm, a.KNorm = norm(at+"self_attn.q_norm", c.HeadDim), norm(at+"self_attn.k_norm", c.HeadDim)
		}
		d.Blocks = append(d.Blocks, &nn.Block{
			Attention: a,
			MLP: &nn.MLP{
				Gate: linear(at+"mlp.gate_proj", c.Intermediate, c.Hidden, c.MLPBias),
				Up:   linear(at+"mlp.up_proj", c.Intermediate, c.Hidden, c.MLPBias),
				Down: linear(at+"mlp.down_proj", c.Hidden, c.Intermediate, c.MLPBias),
			},
			InputNorm: norm(at+"input_layernorm", c.Hidden),
			PostNorm:  norm(at+"post_attention_layernorm", c.Hidden),
		})
	}
	d.Norm = norm("model.norm", c.Hidden)
	d.Head = d.Embed
	if !c.Tied {
		d.Head = param("lm_head.weight", c.Vocab, c.Hidden)
	}
	m.Decoder, m.Objective = d, d
	m.base = append(m.base, p.All...)
	return m
}

// Untie gives a head that was the embedding a weight of its own, which begins
// with the same values.
func (m *Model) Untie() {
	if d := m.Decoder; d != nil && d.Head == d.Embed {
		d.Head = m.Params.Add(&nn.Param{Name: "lm_head.weight", Shape: d.Embed.Shape})
		m.base = append(m.base, d.Head)
	}
}

// Base lists the parameters that a checkpoint of the family has.
func (m *Model) Base() []*nn.Param { return m.base }

// BaseLen is their number of elements.
func (m *Model) BaseLen() (n int) {
	for _, p := range m.base {
		if p.Name != "lm_head.weight" || !m.Config.Tied { // a copy of the embedding's
			n += p.Len()
		}
	}
	return n
}

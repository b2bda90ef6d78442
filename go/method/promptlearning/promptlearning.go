// Package promptlearning has what the methods share that PEFT calls prompt
// learning: prompt tuning, P-tuning and prefix tuning. Each trains k virtual
// tokens, and its adapter directory holds one tensor, prompt_embeddings, of
// what they are in the end.
package promptlearning

import (
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// tensorName is the only tensor of an adapter directory.
const tensorName = "prompt_embeddings"

// The ways in which virtual tokens begin.
const (
	Random = "random" // normal numbers, PEFT's default
	Vocab  = "vocab"  // tokens of the vocabulary, drawn
	Text   = "text"   // the tokens of a text
)

// Start is how virtual tokens begin.
type Start struct {
	Init   string  // Random, Vocab or Text
	Text   string  // for Text
	Tokens []int32 // of the text
}

// NewStart reads the settings of a run. key is the default that stands for
// "default".
func NewStart(c config.Method, b method.Base, key string) (Start, error) {
	s := Start{Init: c.Init, Text: c.InitText}
	if s.Init == "default" {
		if s.Init = key; c.InitText != "" {
			s.Init = Text
		}
	}
	known := []string{Random, Vocab, Text}
	switch {
	case !slices.Contains(known, s.Init):
		return s, failure.Config("method.init: %q is nothing for method.type %s; use %s", s.Init, c.Type, strings.Join(known, ", "))
	case s.Init != Text && s.Text != "":
		return s, failure.Config("method.init_text is given, but method.init is %s; use text, or remove the text", s.Init)
	case s.Init != Text:
		return s, nil
	case s.Text == "":
		return s, failure.Config("method.init is text, but there is no method.init_text")
	}
	if b.Encode == nil { // a plan from a config.json alone
		return s, nil
	}
	var err error
	if s.Tokens, err = b.Encode(s.Text); err == nil && len(s.Tokens) == 0 {
		err = failure.Config("method.init_text: %q has no tokens", s.Text)
	}
	return s, err
}

// Choose gives the n tokens of the vocabulary that virtual tokens begin as:
// those of the text, repeated or cut as PEFT does, or drawn ones. It is empty
// for Random.
func (s Start) Choose(n, vocab int, seed uint64) []int32 {
	if s.Init == Random {
		return nil
	}
	ids := make([]int32, n)
	for i := range ids {
		if s.Init == Text {
			ids[i] = s.Tokens[i%len(s.Tokens)]
			continue
		}
		w := bindings.Philox([4]uint32{uint32(i), 0, 0, purposeVocab}, key(seed))
		ids[i] = int32(uint64(w[0]) * uint64(vocab) >> 32)
	}
	return ids
}

// Normal fills v with normal numbers times scale. site tells tensors apart.
func Normal(v []float32, scale float64, seed uint64, site uint32) {
	for i := range v {
		w := bindings.Philox([4]uint32{uint32(i), site, 0, purposeNormal}, key(seed))
		u, angle := (float64(w[0])+0.5)/(1<<32), 2*math.Pi*(float64(w[1])+0.5)/(1<<32)
		v[i] = float32(scale * math.Sqrt(-2*math.Log(u)) * math.Cos(angle))
	}
}

// Uniform fills v with numbers from −bound to bound.
func Uniform(v []float32, bound float64, seed uint64, site uint32) {
	for i := range v {
		w := bindings.Philox([4]uint32{uint32(i), site, 0, purposeUniform}, key(seed))
		v[i] = float32((2*(float64(w[0])+0.5)/(1<<32) - 1) * bound)
	}
}

func key(seed uint64) [2]uint32 { return [2]uint32{uint32(seed), uint32(seed >> 32)} }

// The purposes keep these numbers apart from each other and from those of
// dropout, which have a step and a micro-batch in the last two words.
const (
	purposeVocab = 0xA0000001 + iota
	purposeNormal
	purposeUniform
)

// Shape is the shape of an adapter, under PEFT's names.
type Shape struct {
	VirtualTokens int // num_virtual_tokens
	TokenDim      int // token_dim: of a virtual token, or of its key in one layer
	Heads         int // num_attention_heads
	Layers        int // num_layers
}

// Check refuses a number of virtual tokens that leaves a context no room, and
// models that are not decoders.
func Check(tokens int, m *model.Model) error {
	switch context := m.Config.MaxPositions; {
	case m.Decoder == nil:
		return failure.Config("method.type: virtual tokens stand before the sequences of a decoder, and the model is an encoder; use full or lora")
	case tokens < 1:
		return failure.Config("method.num_virtual_tokens: %d, want at least 1", tokens)
	case tokens >= context:
		return failure.Config("method.num_virtual_tokens: %d virtual tokens leave no room in a context of %d (max_position_embeddings)", tokens, context)
	}
	return nil
}

// file is what adapter_config.json has for every method.
type file struct {
	BaseModel     string `json:"base_model_name_or_path"`
	VirtualTokens int    `json:"num_virtual_tokens"`
	Submodules    *int   `json:"num_transformer_submodules"`
	ModulesToSave []any  `json:"modules_to_save"`
}

// Save writes an adapter directory. more are the keys of adapter_config.json
// that only this method has; rows is prompt_embeddings.
func Save(w method.Writer, peft, base string, s Shape, more map[string]any, rows []float32) error {
	c := map[string]any{
		"auto_mapping": nil, "base_model_name_or_path": base, "inference_mode": true, "modules_to_save": nil,
		"num_attention_heads": s.Heads, "num_layers": s.Layers, "num_transformer_submodules": 1,
		"num_virtual_tokens": s.VirtualTokens, "peft_type": peft, "revision": nil, "task_type": "CAUSAL_LM",
		"token_dim": s.TokenDim,
	}
	for k, v := range more {
		c[k] = v
	}
	if err := method.WriteConfig(w, c); err != nil {
		return err
	}
	shape := []int{s.VirtualTokens, len(rows) / s.VirtualTokens}
	return method.WriteTensors(w, method.WeightsFile, []safetensors.Tensor{method.Tensor(tensorName, shape, rows)})
}

// Read gives the number of virtual tokens and the base of an adapter
// directory.
func Read(dir string) (tokens int, base string, err error) {
	f := file{}
	if err := method.ReadConfig(dir, &f); err != nil {
		return 0, "", err
	}
	path := filepath.Join(dir, method.ConfigFile)
	switch {
	case f.VirtualTokens < 1 || f.VirtualTokens > 1<<20:
		return 0, "", failure.Data("%s: num_virtual_tokens is %d, want 1 to %d", path, f.VirtualTokens, 1<<20)
	case f.Submodules != nil && *f.Submodules != 1:
		return 0, "", failure.Data("%s: num_transformer_submodules is %d, want 1: the adapter is for a model with an encoder and a decoder", path, *f.Submodules)
	case len(f.ModulesToSave) > 0:
		return 0, "", failure.Data("%s: modules_to_save has %v, which this build does not read", path, f.ModulesToSave)
	}
	return f.VirtualTokens, f.BaseModel, nil
}

// Load reads prompt_embeddings [k, cols].
func Load(dir string, k, cols int) ([]float32, error) {
	path := filepath.Join(dir, method.WeightsFile)
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	want := []int{k, cols}
	for _, t := range f.Tensors() {
		switch {
		case t.Name != tensorName:
			return nil, failure.Data("%s has a tensor %q, which this build does not read; want %q alone", path, t.Name, tensorName)
		case !slices.Equal(t.Shape, want):
			return nil, failure.Data("%s: %s has shape %v, the base and num_virtual_tokens ask for %v: the adapter is for another base", path, t.Name, t.Shape, want)
		}
	}
	values, err := method.ReadTensors(path)
	if err != nil {
		return nil, err
	}
	if values[tensorName] == nil {
		return nil, failure.Data("%s has no tensor %q", path, tensorName)
	}
	return values[tensorName], nil
}

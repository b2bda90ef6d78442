// Package prompt is prompt tuning (arXiv 2104.08691) and P-tuning (arXiv
// 2103.10385) with the semantics of PEFT: k trained vectors stand before the
// embeddings of every sequence of a frozen model and take its first positions.
// P-tuning trains a small network that computes them. The result of both is an
// adapter directory that PEFT loads, and the reverse.
package prompt

import (
	"context"
	"slices"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/promptlearning"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Config is the settings of both.
type Config struct {
	Tokens    int // num_virtual_tokens
	Begin     promptlearning.Start
	PTuning   bool
	Hidden    int    // encoder_hidden_size of P-tuning; 0: the vectors themselves are trained
	BaseModel string // base_model_name_or_path of adapter_config.json
}

var (
	_ method.Method  = Config{}
	_ method.Starter = Config{}
)

// The methods' entries of the registry.
var (
	Kind    = method.Kind{Name: "prompt", New: fromSettings, PEFT: promptTuning, Read: Read}
	PTuning = method.Kind{Name: "ptuning", New: pTuningFromSettings, PEFT: pTuning, Read: Read}
)

// The values of peft_type.
const (
	promptTuning = "PROMPT_TUNING"
	pTuning      = "P_TUNING"
)

// rowsName is the parameter that the vectors are.
const rowsName = "prompt_embeddings"

func fromSettings(c config.Method, b method.Base) (method.Method, error) {
	if c.InitFrom == "" {
		start, err := promptlearning.NewStart(c, b, promptlearning.Vocab)
		return Config{Tokens: c.VirtualTokens, Begin: start, BaseModel: b.Dir}, err
	}
	peft, err := method.PeftType(c.InitFrom)
	if err != nil {
		return nil, err
	}
	if peft != promptTuning && peft != pTuning {
		return nil, failure.Data("%s/%s: peft_type is %q, and method.type prompt goes on from %s or %s", c.InitFrom, method.ConfigFile, peft, promptTuning, pTuning)
	}
	k, _, err := promptlearning.Read(c.InitFrom)
	return Config{Tokens: k, Begin: promptlearning.Start{Init: promptlearning.Random}, BaseModel: b.Dir}, err
}

func pTuningFromSettings(c config.Method, b method.Base) (method.Method, error) {
	if c.InitFrom != "" {
		return nil, failure.Config("method.init_from: the directory of a ptuning adapter has no encoder to go on with; use method.type prompt, which goes on with its vectors")
	}
	return Config{Tokens: c.VirtualTokens, PTuning: true, Hidden: c.EncoderHidden, BaseModel: b.Dir}, nil
}

// Read gives the settings of an adapter directory. That of P-tuning holds the
// vectors that its network gave.
func Read(dir string) (method.Method, error) {
	peft, err := method.PeftType(dir)
	if err != nil {
		return nil, err
	}
	k, base, err := promptlearning.Read(dir)
	start := promptlearning.Start{Init: promptlearning.Random}
	return Config{Tokens: k, Begin: start, PTuning: peft == pTuning, Hidden: -1, BaseModel: base}, err
}

// Name is "prompt" or "ptuning".
func (c Config) Name() string {
	if c.PTuning {
		return PTuning.Name
	}
	return Kind.Name
}

// Output is an adapter directory.
func (Config) Output() string { return method.Adapter }

// Facts are the settings that decide what the adapter does.
func (c Config) Facts() []method.Fact {
	return []method.Fact{{Name: "num_virtual_tokens", Value: c.Tokens}, {Name: "base", Value: c.BaseModel}}
}

// Attach puts the vectors before every sequence.
func (c Config) Attach(m *model.Model, seed uint64) error {
	if err := promptlearning.Check(c.Tokens, m); err != nil {
		return err
	}
	h := m.Config.Hidden
	if c.PTuning && c.Hidden >= 0 {
		width := c.Hidden
		if width == 0 {
			width = h
		}
		m.SetPrompt(&nn.Prompt{Encoder: promptlearning.Encoder{
			Tokens: c.Tokens, Dim: h, Hidden: []int{width, width}, Function: bindings.ReLU, Out: []int{h},
		}.Attach(m, seed)})
		return nil
	}
	m.SetPrompt(&nn.Prompt{Rows: m.Params.Add(&nn.Param{
		Name: rowsName, Shape: []int{c.Tokens, h}, Trainable: true,
		Init: func(v []float32) { promptlearning.Normal(v, 1, seed, 0) },
	})})
	return nil
}

// Start gives the vectors the embeddings of tokens, unless they begin at
// random.
func (c Config) Start(_ context.Context, m *model.Model, b method.Weights, seed uint64) (map[string][]float32, error) {
	ids := c.Begin.Choose(c.Tokens, m.Config.Vocab, seed)
	if c.PTuning || ids == nil {
		return nil, nil
	}
	rows, err := b.Rows(m.Decoder.Embed.Name, ids)
	return map[string][]float32{rowsName: rows}, err
}

// Save writes the vectors.
func (c Config) Save(w method.Writer, m *model.Model, values method.Values) error {
	rows, err := c.rows(m, values)
	if err != nil {
		return err
	}
	shape := promptlearning.Shape{VirtualTokens: c.Tokens, TokenDim: m.Config.Hidden, Heads: m.Config.Heads, Layers: m.Config.Layers}
	if c.PTuning {
		width := m.Config.Hidden
		if c.Hidden > 0 {
			width = c.Hidden
		}
		return promptlearning.Save(w, pTuning, c.BaseModel, shape, map[string]any{
			"encoder_reparameterization_type": "MLP", "encoder_hidden_size": width,
			"encoder_num_layers": 2, "encoder_dropout": 0.0,
		}, rows)
	}
	more := map[string]any{
		"prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": nil, "tokenizer_name_or_path": nil, "tokenizer_kwargs": nil,
	}
	switch c.Begin.Init {
	case promptlearning.Vocab:
		more["prompt_tuning_init"] = "SAMPLE_VOCAB"
	case promptlearning.Text:
		more["prompt_tuning_init"], more["prompt_tuning_init_text"], more["tokenizer_name_or_path"] = "TEXT", c.Begin.Text, c.BaseModel
	}
	return promptlearning.Save(w, promptTuning, c.BaseModel, shape, more, rows)
}

func (c Config) rows(m *model.Model, values method.Values) ([]float32, error) {
	if e := m.Decoder.Prompt.Encoder; e != nil {
		out, err := promptlearning.Compute(e, values)
		return slices.Concat(out...), err
	}
	return values(rowsName)
}

// Load reads the vectors of an adapter directory.
func (c Config) Load(dir string, m *model.Model) (map[string][]float32, error) {
	rows, err := promptlearning.Load(dir, c.Tokens, m.Config.Hidden)
	return map[string][]float32{rowsName: rows}, err
}

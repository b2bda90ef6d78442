package graft

import (
	"context"
	"errors"
	"fmt"

	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/graftlm/graft/go/train"
)

// Base is a model directory with what is read from it before its weights.
type Base struct {
	Dir       string
	Files     *hub.Model
	Config    model.Config
	Tokenizer *tokenizer.Tokenizer // nil if the directory has none
	Types     nn.Types             // what a run computes in
}

// OpenBase opens a Hugging Face model directory. dtype is auto, f32 or bf16;
// auto is the checkpoint's own, bf16 for a float16 one.
func OpenBase(dir, dtype string) (*Base, error) { return openBase(hub.Open, dir, dtype) }

// describeBase opens a base whose weights need not be there.
func describeBase(dir, dtype string) (*Base, error) { return openBase(hub.Describe, dir, dtype) }

// Described reports whether the base has no weights to be trained on, but a
// config.json to plan with.
func (b *Base) Described() bool { return len(b.Files.Names()) == 0 }

// check holds a model to the weights of the base, if they are there.
func (b *Base) check(m *model.Model) error {
	if b.Described() {
		return nil
	}
	return m.Check(b.Files)
}

func openBase(open func(string) (*hub.Model, error), dir, dtype string) (*Base, error) {
	files, err := open(dir)
	if err != nil {
		return nil, err
	}
	b := &Base{Dir: dir, Files: files}
	if err := b.read(dtype); err != nil {
		files.Close()
		return nil, err
	}
	return b, nil
}

func (b *Base) read(dtype string) (err error) {
	if b.Config, err = model.ParseConfig(b.Dir+"/config.json", b.Files.Config.Bytes()); err != nil {
		return err
	}
	if b.Tokenizer, err = tokenizer.Load(b.Dir); errors.Is(err, failure.ErrNoInput) {
		b.Tokenizer, err = nil, nil
	}
	if err != nil {
		return err
	}
	if b.Tokenizer != nil && b.Tokenizer.Size() > b.Config.Vocab {
		return failure.Data("%s: the tokenizer has %d tokens, the embedding %d rows", b.Dir, b.Tokenizer.Size(), b.Config.Vocab)
	}
	b.Types, err = types(dtype, b.Files, b.Config)
	return err
}

// types decides what is computed in.
func types(dtype string, files *hub.Model, c model.Config) (nn.Types, error) {
	if dtype == "auto" && len(files.Names()) == 0 {
		return typesOf(dtype, c), nil
	}
	if dtype == "auto" || dtype == "" {
		dtype = "f32"
		for _, t := range files.Tensors() {
			if t.DType == "BF16" || t.DType == "F16" {
				dtype = "bf16"
			}
		}
	}
	switch dtype {
	case "f32":
		return nn.Float32, nil
	case "bf16":
		return nn.BFloat, nil
	}
	return nn.Types{}, failure.Config("model.dtype: %q, want auto, f32 or bf16", dtype)
}

// Quantized reports whether the checkpoint is in four bits.
func (b *Base) Quantized() bool {
	for _, n := range b.Files.Names() {
		if bnb.IsState(n) {
			return true
		}
	}
	return false
}

// Weights counts the parameters of the checkpoint, a matrix in four bits as what
// it stands for, and says how such matrices are stored: "" where there are none.
func (b *Base) Weights() (parameters int64, stored string, err error) {
	matrices, parts, err := bnb.All(b.Files, b.Files.Tensors())
	if err != nil {
		return 0, "", err
	}
	nested := ""
	for _, m := range matrices {
		parameters += int64(m.Shape[0]) * int64(m.Shape[1])
		if m.Double {
			nested = ", their scales quantised in turn"
		}
	}
	for _, t := range b.Files.Tensors() {
		if !parts[t.Name] {
			parameters += t.Elements()
		}
	}
	if len(matrices) > 0 {
		stored = fmt.Sprintf("nf4, %d matrices%s", len(matrices), nested)
	}
	return parameters, stored, nil
}

// Template gives the chat template of a setting: tokenizer (the model's own),
// a built-in name, or the path of a .jinja file.
func (b *Base) Template(setting string) (*chat.Template, error) {
	if setting == "" || setting == "tokenizer" {
		return chat.FromModelDir(b.Dir)
	}
	t, err := chat.Open(setting)
	if errors.Is(err, failure.ErrNoInput) {
		return nil, failure.Config("data.template: %v", err)
	}
	return t, err
}

// encode gives the tokens of a text, for what a method begins with.
func (b *Base) encode(text string) ([]int32, error) {
	if b.Tokenizer == nil {
		return nil, failure.NoInput("%s has no tokenizer.json, which method.init text needs", b.Dir)
	}
	e, err := b.Tokenizer.Encode(text, true)
	return e.IDs, err
}

// SpecialTokens are the variables that templates see.
func (b *Base) SpecialTokens() map[string]string {
	s := b.Files.Special
	tokens := map[string]string{}
	for name, text := range map[string]string{"bos_token": s.BOS, "eos_token": s.EOS, "pad_token": s.Pad, "unk_token": s.Unknown} {
		if text != "" {
			tokens[name] = text
		}
	}
	return tokens
}

// StopTokens are the ids that end a text.
func (b *Base) StopTokens() []int32 {
	var ids []int32
	for _, id := range b.Files.Generation.EOS {
		ids = append(ids, int32(id))
	}
	if b.Tokenizer != nil {
		if id, ok := b.Tokenizer.ID(b.Files.Special.EOS); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// Close closes the weight files.
func (b *Base) Close() error { return b.Files.Close() }

// Attach adds a PEFT adapter directory to a model of the base, and gives the
// values of its parameters. scale multiplies its effect, where it has a scale.
func Attach(m *model.Model, dir string, scale float64) (method.Method, map[string][]float32, error) {
	how, err := registry.Read(dir)
	if err != nil {
		return nil, nil, err
	}
	if scale != 1 {
		s, ok := how.(method.Scalable)
		if !ok {
			return nil, nil, failure.Usage("%s is a %s adapter, which has no scale; load it without one", dir, how.Name())
		}
		if how, err = s.Scaled(scale); err != nil {
			return nil, nil, err
		}
	}
	if err := how.Attach(m, 0); err != nil {
		return nil, nil, failure.As(failure.ErrData, err)
	}
	values, err := how.Load(dir, m)
	return how, values, err
}

// load reads the base onto the device of an engine and sets further values.
func (b *Base) load(ctx context.Context, e *train.Engine, m *model.Model, values map[string][]float32, progress func(done, total int64)) error {
	if err := m.Load(ctx, e.Device(), e.Planned(), b.Files, progress); err != nil {
		return err
	}
	for _, p := range m.Params.All {
		if v, ok := values[p.Name]; ok {
			if err := model.Upload(e.Device(), p.Value, v); err != nil {
				return err
			}
		}
	}
	return nil
}

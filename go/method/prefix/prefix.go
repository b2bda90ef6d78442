// Package prefix is prefix tuning (arXiv 2101.00190) with the semantics of
// PEFT: k trained keys and values in each layer of a frozen model, which every
// token sees before those of its own sequence. With a projection a small
// network computes them while they are trained. The result is an adapter
// directory that PEFT loads, and the reverse.
package prefix

import (
	"context"
	"fmt"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/promptlearning"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Config is the settings of prefix tuning.
type Config struct {
	Tokens     int // num_virtual_tokens
	Begin      promptlearning.Start
	Projection bool   // prefix_projection
	Hidden     int    // encoder_hidden_size of the projection; 0: that of a key
	BaseModel  string // base_model_name_or_path of adapter_config.json
}

var (
	_ method.Method  = Config{}
	_ method.Starter = Config{}
)

// peftType is the value of peft_type.
const peftType = "PREFIX_TUNING"

// Kind is the method's entry of the registry.
var Kind = method.Kind{Name: "prefix", New: fromSettings, PEFT: peftType, Read: Read}

func fromSettings(c config.Method, b method.Base) (method.Method, error) {
	if c.InitFrom != "" {
		if c.PrefixProjection {
			return nil, failure.Config("method.init_from: an adapter directory has no projection to go on with; remove method.prefix_projection")
		}
		peft, err := method.PeftType(c.InitFrom)
		if err != nil {
			return nil, err
		}
		if peft != peftType {
			return nil, failure.Data("%s/%s: peft_type is %q, and method.type prefix goes on from %s", c.InitFrom, method.ConfigFile, peft, peftType)
		}
		k, _, err := promptlearning.Read(c.InitFrom)
		return Config{Tokens: k, Begin: promptlearning.Start{Init: promptlearning.Random}, BaseModel: b.Dir}, err
	}
	key := promptlearning.Vocab
	if c.PrefixProjection {
		key = promptlearning.Random
	}
	start, err := promptlearning.NewStart(c, b, key)
	if err == nil && c.PrefixProjection && start.Init != promptlearning.Random {
		err = failure.Config("method.init: %s gives keys and values, which a projection computes itself; remove it, or method.prefix_projection", start.Init)
	}
	return Config{
		Tokens: c.VirtualTokens, Begin: start, Projection: c.PrefixProjection, Hidden: c.EncoderHidden, BaseModel: b.Dir,
	}, err
}

// Read gives the settings of an adapter directory. It holds keys and values,
// also where a projection computed them.
func Read(dir string) (method.Method, error) {
	k, base, err := promptlearning.Read(dir)
	return Config{Tokens: k, Begin: promptlearning.Start{Init: promptlearning.Random}, BaseModel: base}, err
}

// Name is "prefix".
func (Config) Name() string { return Kind.Name }

// Output is an adapter directory.
func (Config) Output() string { return method.Adapter }

// Facts are the settings that decide what the adapter does.
func (c Config) Facts() []method.Fact {
	return []method.Fact{{Name: "num_virtual_tokens", Value: c.Tokens}, {Name: "base", Value: c.BaseModel}}
}

// keyOf and valueOf are the parameters of a layer.
func keyOf(layer int) string   { return fmt.Sprintf("prefix.layers.%d.key", layer) }
func valueOf(layer int) string { return fmt.Sprintf("prefix.layers.%d.value", layer) }

// width is the length of a key of all key heads of a layer: PEFT's token_dim.
func width(m *model.Model) int { return m.Config.KVHeads * m.Config.HeadDim }

// Attach puts keys and values before those of every sequence in each layer.
func (c Config) Attach(m *model.Model, seed uint64) error {
	if err := promptlearning.Check(c.Tokens, m); err != nil {
		return err
	}
	if c.Projection {
		hidden := c.Hidden
		if hidden == 0 {
			hidden = width(m)
		}
		e := promptlearning.Encoder{Tokens: c.Tokens, Dim: width(m), Hidden: []int{hidden}, Function: bindings.Tanh}
		for range 2 * m.Config.Layers {
			e.Out = append(e.Out, width(m))
		}
		m.Decoder.SetPrefix(&nn.Prefix{Encoder: e.Attach(m, seed)})
		return nil
	}
	p := &nn.Prefix{}
	site := uint32(0)
	param := func(name string) *nn.Param {
		at := site
		site++
		return m.Params.Add(&nn.Param{
			Name: name, Shape: []int{c.Tokens, width(m)}, Trainable: true,
			Init: func(v []float32) { promptlearning.Normal(v, 1, seed, at) },
		})
	}
	for i := range m.Config.Layers {
		p.K, p.V = append(p.K, param(keyOf(i))), append(p.V, param(valueOf(i)))
	}
	m.Decoder.SetPrefix(p)
	return nil
}

// Start reads tokens through the base and takes their keys and values: so the
// model begins as the base does after those tokens.
func (c Config) Start(ctx context.Context, m *model.Model, b method.Weights, seed uint64) (map[string][]float32, error) {
	ids := c.Begin.Choose(c.Tokens, m.Config.Vocab, seed)
	if c.Projection || ids == nil {
		return nil, nil
	}
	keys, values, err := b.KeysValues(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := map[string][]float32{}
	for i := range keys {
		all[keyOf(i)], all[valueOf(i)] = keys[i], values[i]
	}
	return all, nil
}

// Save writes the keys and values as PEFT has them: a row is a virtual token,
// with the key and the value of each layer in turn.
func (c Config) Save(w method.Writer, m *model.Model, values method.Values) error {
	parts, err := c.parts(m, values)
	if err != nil {
		return err
	}
	n := width(m)
	rows := make([]float32, c.Tokens*len(parts)*n)
	for j, part := range parts {
		for t := range c.Tokens {
			copy(rows[(t*len(parts)+j)*n:], part[t*n:(t+1)*n])
		}
	}
	hidden := n
	if c.Hidden > 0 {
		hidden = c.Hidden
	}
	shape := promptlearning.Shape{VirtualTokens: c.Tokens, TokenDim: n, Heads: m.Config.KVHeads, Layers: m.Config.Layers}
	return promptlearning.Save(w, peftType, c.BaseModel, shape, map[string]any{
		"encoder_hidden_size": hidden, "prefix_projection": c.Projection, "init_weights": nil,
	}, rows)
}

// parts are key and value [k, width] of each layer in turn.
func (c Config) parts(m *model.Model, values method.Values) (all [][]float32, err error) {
	if e := m.Decoder.Prefix.Encoder; e != nil {
		return promptlearning.Compute(e, values)
	}
	for i := range m.Config.Layers {
		for _, name := range []string{keyOf(i), valueOf(i)} {
			v, err := values(name)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
	}
	return all, nil
}

// Load reads the keys and values of an adapter directory.
func (c Config) Load(dir string, m *model.Model) (map[string][]float32, error) {
	layers, n := m.Config.Layers, width(m)
	rows, err := promptlearning.Load(dir, c.Tokens, 2*layers*n)
	if err != nil {
		return nil, err
	}
	all := map[string][]float32{}
	for i := range layers {
		for j, name := range []string{keyOf(i), valueOf(i)} {
			for t := range c.Tokens {
				at := (t*2*layers + 2*i + j) * n
				all[name] = append(all[name], rows[at:at+n]...)
			}
		}
	}
	return all, nil
}

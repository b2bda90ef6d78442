// Package full is full fine-tuning: every weight of the base is trained, in
// float32, and the result is a Hugging Face checkpoint.
package full

import (
	"slices"
	"strings"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

// Config is the settings of full fine-tuning.
type Config struct {
	// Freeze are modules that stay as they are, with what lies below them:
	// "embed_tokens", "layers.0", "mlp".
	Freeze []string
}

var _ method.Method = Config{}

// Kind is the method's entry of the registry.
var Kind = method.Kind{
	Name: "full",
	New:  func(c config.Method, _ method.Base) (method.Method, error) { return Config{Freeze: c.Freeze}, nil },
}

// Name is "full".
func (Config) Name() string { return "full" }

// Output is a whole checkpoint.
func (Config) Output() string { return method.Model }

// Facts: there are none; they are of adapters.
func (Config) Facts() []method.Fact { return nil }

// Attach makes every parameter trainable but those of frozen modules.
func (c Config) Attach(m *model.Model, _ uint64) error {
	for _, p := range m.Base() {
		p.Trainable = !c.frozen(p.Name)
		p.Group.NoDecay = method.NoDecay(p.Name)
	}
	if m.Params.TrainableLen() == 0 {
		return failure.Config("method.freeze: %s leaves nothing to train", strings.Join(c.Freeze, ", "))
	}
	return c.check(m)
}

// frozen reports whether a parameter lies in a frozen module.
func (c Config) frozen(name string) bool {
	return slices.ContainsFunc(c.Freeze, func(t string) bool { return within(name, t) })
}

// within reports whether a module's name is a part of a parameter's path.
func within(param, module string) bool { return strings.Contains("."+param, "."+module+".") }

// check refuses names that freeze nothing.
func (c Config) check(m *model.Model) error {
	for _, t := range c.Freeze {
		if !slices.ContainsFunc(m.Base(), func(p *nn.Param) bool { return within(p.Name, t) }) {
			return failure.Config("method.freeze: %q matches no module; use names such as embed_tokens, layers.0 or mlp", t)
		}
	}
	return nil
}

// Save writes model.safetensors. The caller copies the base's other files.
func (Config) Save(w method.Writer, m *model.Model, values method.Values) error {
	var all []safetensors.Tensor
	for _, p := range m.Base() {
		v, err := values(p.Name)
		if err != nil {
			return err
		}
		all = append(all, method.Tensor(p.Name, p.Shape, v))
	}
	return method.WriteTensors(w, "model.safetensors", all)
}

// Load reads what Save wrote.
func (Config) Load(dir string, m *model.Model) (map[string][]float32, error) {
	values, err := method.ReadTensors(dir + "/model.safetensors")
	if err != nil {
		return nil, err
	}
	for _, p := range m.Base() {
		if len(values[p.Name]) != p.Len() {
			return nil, failure.Data("%s: %s has %d elements, want %d", dir, p.Name, len(values[p.Name]), p.Len())
		}
	}
	return values, nil
}

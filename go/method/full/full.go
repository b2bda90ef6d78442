// Package full is full fine-tuning: every weight of the base is trained, in
// float32, and the result is a Hugging Face checkpoint.
package full

import (
	"regexp"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// Config has no settings: the method trains everything.
type Config struct{}

var _ method.Method = Config{}

// Kind is the method's entry of the registry.
var Kind = method.Kind{
	Name: "full",
	New:  func(config.Method, method.Base) (method.Method, error) { return Config{}, nil },
}

// noDecay are the parameters that weight decay leaves alone, by the rule of
// transformers' Trainer.
var noDecay = regexp.MustCompile(`bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.)`)

// Name is "full".
func (Config) Name() string { return "full" }

// Output is a whole checkpoint.
func (Config) Output() string { return method.Model }

// Facts: there are none, for there are no settings.
func (Config) Facts() []method.Fact { return nil }

// Attach makes every parameter trainable.
func (Config) Attach(m *model.Model, _ uint64) error {
	for _, p := range m.Base() {
		p.Trainable = true
		p.Group.NoDecay = noDecay.MatchString(p.Name)
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

// Package method says what a way of fine-tuning is: which parameters exist,
// which are trained, where they enter the forward pass, and what is written at
// the end. The loop, the optimizer, the checkpoint and the plan know none of
// them by name. Each method is a package below this one.
package method

import (
	"github.com/graftlm/graft/go/model"
)

// Method is one way of fine-tuning, with its settings.
type Method interface {
	// Name is the value of method.type in a configuration.
	Name() string
	// Attach marks what is trained in a model, and adds the method's own
	// parameters to it. It runs before the parameters are laid out.
	Attach(m *model.Model, seed uint64) error
	// Save writes what was trained into an existing directory, so that others
	// can load it. values are those of the trainable parameters, by name.
	Save(dir string, m *model.Model, values func(name string) ([]float32, error)) error
	// Load reads a directory that Save, or another program, wrote for this
	// method: the values of the trainable parameters by name.
	Load(dir string, m *model.Model) (map[string][]float32, error)
}

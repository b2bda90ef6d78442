// Package method says what a way of fine-tuning is: which parameters exist,
// which are trained, where they enter the forward pass, and what is written at
// the end. The loop, the optimizer, the checkpoint and the plan know none of
// them by name. Each method is a package below this one.
package method

import (
	"context"
	"io"
	"regexp"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// Method is one way of fine-tuning, with its settings.
type Method interface {
	// Name is the value of method.type in a configuration.
	Name() string
	// Output is the directory of a run that Save fills: Adapter, or Model for a
	// whole checkpoint, beside which the base's other files belong.
	Output() string
	// Facts are the settings that a reader of an adapter wants to see.
	Facts() []Fact
	// Attach marks what is trained in a model, and adds the method's own
	// parameters to it. It runs before the parameters are laid out. seed
	// decides their first values.
	Attach(m *model.Model, seed uint64) error
	// Save writes what was trained so that others can load it.
	Save(w Writer, m *model.Model, values Values) error
	// Load reads a directory that Save, or another program, wrote for this
	// method: the values of the trainable parameters by name. It runs after
	// Attach.
	Load(dir string, m *model.Model) (map[string][]float32, error)
}

// What a run writes at its end.
const (
	Adapter = "adapter"
	Model   = "model"
)

// Fact is a setting by name.
type Fact struct {
	Name  string
	Value any
}

// Scalable is a method whose effect can be multiplied when it is loaded.
type Scalable interface {
	Scaled(by float64) (Method, error)
}

// Starter is a method whose first values are made from the base. Start runs
// after Attach and gives values of trainable parameters by name; what it leaves
// out keeps those of nn.Param.Init.
type Starter interface {
	Start(ctx context.Context, m *model.Model, b Weights, seed uint64) (map[string][]float32, error)
}

// Weights is the base for a Starter.
type Weights interface {
	// Rows gives rows of a matrix of the checkpoint, one after another.
	Rows(name string, rows []int32) ([]float32, error)
	// KeysValues reads tokens through the base and gives the rotated keys and
	// the values [n, kv heads·dim] of each layer.
	KeysValues(ctx context.Context, ids []int32) (keys, values [][]float32, err error)
}

// Labelled is a method that is trained on texts with labels, which decide the
// shape of its parameters.
type Labelled interface {
	Method
	// Wanted is the task and the order of classes that were asked for.
	Wanted() data.Labels
	// For gives the method for the labels of the data.
	For(data.Labels) Method
	// Measure begins an evaluation.
	Measure() Measure
}

// Measure makes measures of what a model gives for each sequence of
// micro-batches.
type Measure interface {
	Add(b data.MicroBatch, out []float32)
	Result() (measures map[string]float64, whole any)
}

// Extracting is a method whose base may be frozen as a whole: then what the
// base gives for each text is computed once.
type Extracting interface {
	Method
	Frozen() bool
	// Extractor makes a model give the features of texts instead, and names how.
	Extractor(m *model.Model) (how string, err error)
	// OnFeatures is the method over staged features, without the base.
	OnFeatures() Method
}

// Base is what a method may know of the base before its weights are loaded.
type Base struct {
	Dir string // base_model_name_or_path of what it writes
	// Encode gives the tokens of a text, with those that the tokenizer puts
	// around it; nil where there is only a config.json.
	Encode func(text string) ([]int32, error)
}

// Kind is an entry of the registry (go/method/registry): how a method is made
// from the settings of a run, and from a directory that it or PEFT wrote.
type Kind struct {
	Name string // the value of method.type
	// New checks the settings and makes the method.
	New func(c config.Method, b Base) (Method, error)
	// PEFT is the peft_type of the adapter directories that Read reads; "" and
	// nil for a method that writes none.
	PEFT string
	// File is one that only this method's directories have, if PEFT does not
	// tell them.
	File string
	// Labelled: the methods that New makes are Labelled.
	Labelled bool
	Read     func(dir string) (Method, error)
}

// noDecay are the parameters that weight decay leaves alone, by the rule of
// transformers' Trainer.
var noDecay = regexp.MustCompile(`bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.)`)

// NoDecay reports whether weight decay leaves a parameter of a base alone.
func NoDecay(name string) bool { return noDecay.MatchString(name) }

// Values gives the values of a trainable parameter.
type Values func(name string) ([]float32, error)

// Writer is a directory being written, whole or not at all.
type Writer interface {
	WriteFile(name string, data []byte) error
	Stream(name string, write func(io.Writer) error) error
}

// Tensor is a float32 tensor to be written.
func Tensor(name string, shape []int, values []float32) safetensors.Tensor {
	b := make([]byte, 4*len(values))
	safetensors.F32ToBytes(b, values)
	return safetensors.Tensor{Name: name, DType: "F32", Shape: shape, Data: b}
}

// WriteTensors writes a safetensors file into a directory.
func WriteTensors(w Writer, name string, tensors []safetensors.Tensor) error {
	return w.Stream(name, func(out io.Writer) error { return safetensors.Encode(out, tensors, nil) })
}

// ReadTensors reads all tensors of a small file as float32.
func ReadTensors(path string) (map[string][]float32, error) {
	all, _, err := ReadShaped(path)
	return all, err
}

// ReadShaped is ReadTensors with the shape of each.
func ReadShaped(path string) (all map[string][]float32, shapes map[string][]int, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	all, shapes = map[string][]float32{}, map[string][]int{}
	for _, t := range f.Tensors() {
		raw, values := make([]byte, t.Bytes()), make([]float32, t.Elements())
		if err := f.ReadAt(t.Name, raw, 0); err != nil {
			return nil, nil, err
		}
		switch t.DType {
		case "F32":
			safetensors.BytesToF32(values, raw)
		case "BF16":
			safetensors.BF16ToF32(values, raw)
		case "F16":
			safetensors.F16ToF32(values, raw)
		default:
			return nil, nil, failure.Data("%s: tensor %q has type %s, want F32, BF16 or F16", path, t.Name, t.DType)
		}
		for i, v := range values {
			if v-v != 0 {
				return nil, nil, failure.Data("%s: tensor %q has %v at element %d", path, t.Name, v, i)
			}
		}
		all[t.Name], shapes[t.Name] = values, t.Shape
	}
	return all, shapes, nil
}

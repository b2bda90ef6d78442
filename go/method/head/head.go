// Package head puts a classifier on a base: one linear layer over a pooled row
// of each text's states, as the …ForSequenceClassification classes of
// transformers have it. The base is frozen, or has a LoRA adapter that is
// trained beneath the head.
//
// On a decoder the layer is score, without bias, over the last token; on an
// encoder it is classifier, with bias, over BERT's pooler where the pooling is
// cls. With other poolings (mean for sentence encoders) transformers has no
// class of its own; graft reads its own files.
package head

import (
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Config is the settings of a head. For gives it the labels of the data.
type Config struct {
	Labels  data.Labels
	Pooling string        // auto, last, cls, mean or max
	Beneath method.Method // trained below the head; nil: the base is frozen
	Dir     string        // of the base

	features bool // the base's pooled rows are staged: see OnFeatures
}

var (
	_ method.Method     = Config{}
	_ method.Labelled   = Config{}
	_ method.Extracting = Config{}
)

// Kind is the method's entry of the registry.
var Kind = method.Kind{
	Name: "head", New: fromSettings, Labelled: true,
	File: File, Read: func(dir string) (method.Method, error) { return Read(dir) },
}

func fromSettings(c config.Method, b method.Base) (method.Method, error) {
	if c.InitFrom != "" {
		h, err := Read(c.InitFrom)
		h.Dir = b.Dir
		return h, err
	}
	h := Config{Labels: data.Labels{Task: data.Task(c.ProblemType), Names: c.Labels}, Pooling: c.Pooling, Dir: b.Dir}
	if c.Beneath != "lora" {
		return h, nil
	}
	var err error
	h.Beneath, err = lora.Kind.New(c, b)
	return h, err
}

// Name is "head".
func (Config) Name() string { return "head" }

// Output is an adapter directory.
func (Config) Output() string { return method.Adapter }

// Facts are the settings that decide what the head does.
func (c Config) Facts() []method.Fact {
	facts := []method.Fact{
		{Name: "task", Value: string(c.Labels.Task)}, {Name: "labels", Value: len(c.Labels.Names)},
		{Name: "pooling", Value: c.Pooling}, {Name: "base", Value: c.Dir},
	}
	if c.Beneath != nil {
		for _, f := range c.Beneath.Facts() {
			facts = append(facts, method.Fact{Name: c.Beneath.Name() + " " + f.Name, Value: f.Value})
		}
	}
	return facts
}

// Wanted is the task and the order of classes that were asked for.
func (c Config) Wanted() data.Labels { return c.Labels }

// For gives the head for the labels of the data.
func (c Config) For(l data.Labels) method.Method {
	c.Labels = l
	return c
}

// Frozen reports whether nothing below the head is trained, so that its
// features can be computed once.
func (c Config) Frozen() bool { return c.Beneath == nil }

// OnFeatures gives the head alone, over features that are staged.
func (c Config) OnFeatures() method.Method {
	c.features = true
	return c
}

// Extractor makes a model give the features, and says how they come about.
func (c Config) Extractor(m *model.Model) (how string, err error) {
	p, err := c.pooling(m.Config)
	if err != nil {
		return "", err
	}
	e := &nn.Extractor{Body: m.Body(), Pooling: p, Pooler: c.pooler(m, p)}
	m.Headless()
	m.Objective, m.Outputs = e, m.Body().Width()
	how = p.String()
	if e.Pooler != nil {
		how += ", pooler"
	}
	return how, nil
}

// Attach puts the head on the model.
func (c Config) Attach(m *model.Model, seed uint64) error {
	p, err := c.pooling(m.Config)
	if err != nil {
		return err
	}
	n := len(c.Labels.Names)
	if n == 0 {
		return failure.Config("a head needs labels; they come from the training records, or from method.labels")
	}
	h := &nn.Classifier{Body: m.Body(), Pooling: p, Kind: losses[c.Labels.Task]}
	width := m.Body().Width()
	m.Headless()
	if c.features {
		h.Body = nil
		m.Bare()
		m.Row.Features = width
	} else {
		h.Pooler = c.pooler(m, p)
	}
	name := layer(m)
	h.Out = &nn.Linear{Name: name, W: m.Params.Add(&nn.Param{
		Name: name + ".weight", Shape: []int{n, width}, Trainable: true, Init: func(v []float32) { normal(v, seed) },
	})}
	if m.Config.Encoder {
		h.Out.Bias = m.Params.Add(&nn.Param{
			Name: name + ".bias", Shape: []int{n}, Trainable: true, Group: nn.Group{NoDecay: true}, Init: func(v []float32) { clear(v) },
		})
	}
	if c.Labels.Task != data.SingleLabel {
		m.Row.Values = n
	}
	m.Objective, m.Outputs = h, n
	if c.Beneath != nil {
		return c.Beneath.Attach(m, seed)
	}
	return nil
}

var losses = map[data.Task]bindings.ClassLoss{
	data.SingleLabel: bindings.SoftmaxCrossEntropy, data.MultiLabel: bindings.BinaryCrossEntropy, data.Regression: bindings.MeanSquaredError,
}

// layer is the name of the head's module in transformers.
func layer(m *model.Model) string {
	if m.Config.Encoder {
		return "classifier"
	}
	return "score"
}

// poolings by the values of method.pooling.
var poolings = map[string]bindings.Pooling{
	"last": bindings.PoolLast, "cls": bindings.PoolFirst, "mean": bindings.PoolMean, "max": bindings.PoolMax,
}

// pooling is that of the settings, or of the family: the last token of a
// decoder, which alone has seen all, and the first of an encoder.
func (c Config) pooling(m model.Config) (bindings.Pooling, error) {
	name := c.Pooling
	if name == "auto" || name == "" {
		name = "last"
		if m.Encoder {
			name = "cls"
		}
	}
	if name == "cls" && !m.Encoder {
		return 0, failure.Config("method.pooling: cls, but the first token of %s sees no other; use last or mean", m.Family)
	}
	p, ok := poolings[name]
	if !ok {
		return 0, failure.Config("method.pooling: %q, want auto, last, cls, mean or max", name)
	}
	return p, nil
}

// pooler adds BERT's pooler where transformers has it.
func (c Config) pooler(m *model.Model, p bindings.Pooling) *nn.Linear {
	if m.Config.Encoder && p == bindings.PoolFirst {
		return m.Pooler()
	}
	return nil
}

// standard reports whether transformers computes the same.
func standard(m model.Config, p bindings.Pooling) bool {
	return m.Encoder && p == bindings.PoolFirst || !m.Encoder && p == bindings.PoolLast
}

// normal is the first values of the layer: normal with deviation 0.02, as
// transformers begins one, drawn from Philox by the seed.
func normal(v []float32, seed uint64) {
	const deviation, purpose = 0.02, 0xA0000001
	key := [2]uint32{uint32(seed), uint32(seed >> 32)}
	for i := 0; i < len(v); i += 2 {
		w := bindings.Philox([4]uint32{uint32(i / 2), 0, 0, purpose}, key)
		u, angle := (float64(w[0])+0.5)/(1<<32), 2*math.Pi*(float64(w[1])+0.5)/(1<<32)
		r := deviation * math.Sqrt(-2*math.Log(u))
		v[i] = float32(r * math.Cos(angle))
		if i+1 < len(v) {
			v[i+1] = float32(r * math.Sin(angle))
		}
	}
}

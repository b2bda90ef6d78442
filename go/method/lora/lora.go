// Package lora is low-rank adaptation (arXiv 2106.09685) with the semantics of
// PEFT: y = W·x + s·B·A·drop(x) on the chosen linear layers of a frozen base,
// with s = lora_alpha/r, or lora_alpha/√r with rsLoRA (arXiv 2312.03732). The
// result is an adapter directory that PEFT loads, and the reverse.
//
// Its variants are switches: DoRA (nn.Magnitude), LoRA+ (another learning rate
// for B), PiSSA (first values from the base; pissa.go), whole modules trained
// beside the adapters (modules.go).
package lora

import (
	"maps"
	"math"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// Config is the settings of LoRA, under PEFT's names.
type Config struct {
	R       int
	Alpha   float64
	Dropout float64
	// Targets are names of linear layers ("q_proj"), or the one entry
	// "all-linear"; with Regex the one entry is a regular expression that has
	// to match a whole module path.
	Targets []string
	Regex   bool
	Exclude []string
	Layers  []int // layers_to_transform; empty: all
	RSLoRA  bool
	DoRA    bool // use_dora: rows of the adapted weight have trained lengths
	// Init is init_lora_weights: "" (A uniform, as PEFT's true), "gaussian" (A
	// normal with deviation 1/r), "pissa" or "pissa_niter_N".
	Init string
	// PlusRatio is the learning rate of B and of magnitudes over that of A
	// (LoRA+, arXiv 2402.12354); 0 stands for 1.
	PlusRatio float64
	Modules   []string // modules_to_save: trained whole, written whole
	// RankPattern and AlphaPattern override r and alpha where a key matches
	// the end of a module path.
	RankPattern  map[string]int
	AlphaPattern map[string]float64
	BaseModel    string // base_model_name_or_path of adapter_config.json
	// As names the adapter among several of one model: "" for the only one.
	// Gate is its number in nn.Batch.Gates.
	As   string
	Gate int
	read bool // from a directory, where any rank is what it is
}

var (
	_ method.Method   = Config{}
	_ method.Scalable = Config{}
)

// Kind is the method's entry of the registry.
var Kind = method.Kind{
	Name: "lora", New: fromSettings,
	PEFT: "LORA", Read: func(dir string) (method.Method, error) { return Read(dir) },
}

// fromSettings makes a Config of the keys of a run file, or of the adapter that
// the run starts from.
func fromSettings(c config.Method, b method.Base) (method.Method, error) {
	if c.Init != "default" && c.Init != "gaussian" && !strings.HasPrefix(c.Init, "pissa") {
		return nil, failure.Config("method.init: %q is nothing for method.type lora; use default, gaussian or pissa", c.Init)
	}
	if c.InitFrom != "" {
		from, err := Read(c.InitFrom)
		from.Dropout, from.BaseModel, from.PlusRatio = c.LoraDropout, b.Dir, c.LoraPlusRatio
		return from, err
	}
	l := Config{
		R: c.R, Alpha: c.LoraAlpha, Dropout: c.LoraDropout, RSLoRA: c.UseRSLora, Layers: c.Layers,
		RankPattern: c.RankPattern, AlphaPattern: c.AlphaPattern, DoRA: c.UseDora, PlusRatio: c.LoraPlusRatio, Modules: c.ModulesToSave,
		Targets: c.Targets.Names, Exclude: c.Exclude.Names, BaseModel: b.Dir,
	}
	if c.Init != "default" {
		l.Init = c.Init
	}
	if c.Targets.Pattern != "" {
		l.Targets, l.Regex = []string{c.Targets.Pattern}, !c.Targets.AllLinear()
	}
	return l, nil
}

// Name is "lora".
func (Config) Name() string { return "lora" }

// Output is an adapter directory.
func (Config) Output() string { return method.Adapter }

// Facts are the settings that decide what the adapter does.
func (c Config) Facts() []method.Fact {
	facts := []method.Fact{
		{Name: "r", Value: c.R}, {Name: "lora_alpha", Value: c.Alpha}, {Name: "use_rslora", Value: c.RSLoRA},
		{Name: "targets", Value: strings.Join(c.Targets, ", ")}, {Name: "base", Value: c.BaseModel},
	}
	if c.DoRA {
		facts = append(facts, method.Fact{Name: "use_dora", Value: true})
	}
	if len(c.Modules) > 0 {
		facts = append(facts, method.Fact{Name: "modules_to_save", Value: strings.Join(c.Modules, ", ")})
	}
	return facts
}

// Scaled multiplies lora_alpha, and so the effect of the adapter. Trained
// modules and magnitudes have no effect that a number could multiply.
func (c Config) Scaled(by float64) (method.Method, error) {
	switch {
	case by == 1:
		return c, nil
	case c.DoRA:
		return nil, failure.Usage("a DoRA adapter has no weight but 1: its magnitudes replace those of the base")
	case len(c.Modules) > 0:
		return nil, failure.Usage("an adapter with modules_to_save (%s) has no weight but 1: they replace those of the base", strings.Join(c.Modules, ", "))
	}
	c.Alpha *= by
	c.AlphaPattern = maps.Clone(c.AlphaPattern)
	for k := range c.AlphaPattern {
		c.AlphaPattern[k] *= by
	}
	return c, nil
}

// name is that of a parameter of the adapter, by its place in the model.
func (c Config) name(place string) string {
	if c.As == "" {
		return place
	}
	return c.As + ": " + place
}

// The ends of the names of an adapter's tensors, as PEFT writes them.
const (
	endA         = ".lora_A.weight"
	endB         = ".lora_B.weight"
	endMagnitude = ".lora_magnitude_vector"
)

// Attach adds A and B to each chosen layer. A starts as
// U(−1/√in, 1/√in), B as zero, so that the model starts as the base; see Init
// for other ways.
func (c Config) Attach(m *model.Model, seed uint64) error {
	if err := c.check(); err != nil {
		return err
	}
	chosen, err := c.choose(m)
	if err != nil {
		return err
	}
	for i, l := range chosen {
		if err := c.attach(m, l, seed, uint32(i)); err != nil {
			return err
		}
	}
	return c.trainModules(m, chosen)
}

func (c Config) attach(m *model.Model, l *nn.Linear, seed uint64, site uint32) error {
	r, scale := c.Rank(l.Name)
	if most := min(l.In(), l.Out()); r > most && !c.read {
		return failure.Config("method.r: %d exceeds %d, the smaller side of %s", r, most, l.Name)
	}
	fast := nn.Group{}
	if c.PlusRatio > 0 {
		fast.LRScale = c.PlusRatio
	}
	a := &nn.Param{
		Name: c.name(l.Name + endA), Shape: []int{r, l.In()}, Trainable: true,
		Init: func(v []float32) { c.initA(v, r, l.In(), seed, site) },
	}
	b := &nn.Param{
		Name: c.name(l.Name + endB), Shape: []int{l.Out(), r}, Trainable: true, Group: fast,
		Init: func(v []float32) { clear(v) },
	}
	if c.pissa() {
		principal(l.W, a, b, scale, c.iterations(), seed)
	}
	adapter := &nn.Adapter{A: m.Params.Add(a), B: m.Params.Add(b), Scale: scale, Dropout: c.Dropout, Site: site, Gate: c.Gate}
	if c.DoRA {
		// nn.InitMagnitudes gives it its first values, on the device.
		adapter.Magnitude = &nn.Magnitude{M: m.Params.Add(&nn.Param{
			Name: c.name(l.Name + endMagnitude), Shape: []int{l.Out()}, Trainable: true, Group: fast,
			Init: func(v []float32) { clear(v) },
		})}
	}
	l.Adapters = append(l.Adapters, adapter)
	return nil
}

func (c Config) check() error {
	switch {
	case c.R < 1:
		return failure.Config("method.r: %d, want at least 1", c.R)
	case c.Alpha-c.Alpha != 0 || c.Alpha <= 0 && !c.read: // what is read may be weighed, also against itself
		return failure.Config("method.lora_alpha: %v, want a positive number", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return failure.Config("method.lora_dropout: %v, want 0 up to, not including, 1", c.Dropout)
	case c.DoRA && c.pissa():
		return failure.Config("method.use_dora: it does not go with init: %s, whose base is not the one that is loaded later; choose one of them", c.Init)
	}
	return nil
}

// initA draws from Philox keyed by the seed, one counter a layer; so a layer's
// first values do not depend on which other layers are adapted before it.
func (c Config) initA(v []float32, r, in int, seed uint64, site uint32) {
	key := [2]uint32{uint32(seed), uint32(seed >> 32)}
	bound := 1 / math.Sqrt(float64(in))
	for i := 0; i < len(v); i += 4 {
		w := bindings.Philox([4]uint32{uint32(i / 4), site, 0, purposeInit}, key)
		for j := 0; j < 4 && i+j < len(v); j++ {
			u := (float64(w[j]) + 0.5) / (1 << 32)
			v[i+j] = float32((2*u - 1) * bound)
			if c.Init == "gaussian" {
				angle := 2 * math.Pi * (float64(w[(j+1)%4]) + 0.5) / (1 << 32)
				v[i+j] = float32(math.Sqrt(-2*math.Log(u)) * math.Cos(angle) / float64(r))
			}
		}
	}
}

// purposeInit tells the numbers of initialisation from those of dropout, which
// use the same key with a step and micro-batch in the last two words.
const purposeInit = 0xA0000000

package lora

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

const matchTimeout = time.Second

const prefix = "base_model.model."

// peft is adapter_config.json: the old, stable keys that every version reads.
type peft struct {
	AlphaPattern  map[string]float64 `json:"alpha_pattern"`
	AutoMapping   any                `json:"auto_mapping"`
	BaseModel     string             `json:"base_model_name_or_path"`
	Bias          string             `json:"bias"`
	FanInFanOut   bool               `json:"fan_in_fan_out"`
	InferenceMode bool               `json:"inference_mode"`
	Init          any                `json:"init_lora_weights"`
	Layers        any                `json:"layers_to_transform"`
	Alpha         float64            `json:"lora_alpha"`
	Dropout       float64            `json:"lora_dropout"`
	ModulesToSave []string           `json:"modules_to_save"`
	PeftType      string             `json:"peft_type"`
	R             int                `json:"r"`
	RankPattern   map[string]int     `json:"rank_pattern"`
	Revision      any                `json:"revision"`
	Targets       any                `json:"target_modules"`
	Exclude       any                `json:"exclude_modules,omitempty"`
	TaskType      string             `json:"task_type"`
	UseDora       bool               `json:"use_dora"`
	UseRSLoRA     bool               `json:"use_rslora"`
	LoraBias      bool               `json:"lora_bias,omitempty"`
}

// entry is a tensor of an adapter file and the parameter that it belongs to.
type entry struct {
	file  string
	param *nn.Param
}

// entries lists what the adapter's file has.
func (c Config) entries(m *model.Model) (all []entry, err error) {
	chosen, err := c.choose(m)
	if err != nil {
		return nil, err
	}
	for _, l := range chosen {
		for _, a := range l.Adapters {
			if a.A.Name != c.name(l.Name+endA) {
				continue // another adapter's
			}
			all = append(all, entry{file: prefix + l.Name + endA, param: a.A}, entry{file: prefix + l.Name + endB, param: a.B})
			if a.Magnitude != nil {
				all = append(all, entry{file: prefix + l.Name + endMagnitude, param: a.Magnitude.M})
			}
		}
	}
	for _, p := range c.modules(m) {
		all = append(all, entry{file: prefix + p.Name, param: p})
	}
	return all, nil
}

// targets are the names that mean to PEFT the layers that were chosen: those
// of the settings, or of "all-linear", which means other layers to PEFT where
// it knows more of them, the last part of each path. Where that would be
// another layer's too ("dense" of BERT) it is what follows the layer's number.
func (c Config) targets(m *model.Model) (names []string) {
	if !c.all() {
		return slices.Compact(slices.Sorted(slices.Values(c.Targets)))
	}
	kinds := map[string][]string{} // by their last part
	for _, l := range m.Linears() {
		kind := l.Name
		if at := layerNumber.FindStringIndex(kind); at != nil {
			kind = kind[at[1]:]
		}
		last := kind[strings.LastIndexByte(kind, '.')+1:]
		if !slices.Contains(kinds[last], kind) {
			kinds[last] = append(kinds[last], kind)
		}
	}
	for last, of := range kinds {
		if len(of) == 1 {
			of = []string{last}
		}
		names = append(names, of...)
	}
	slices.Sort(names)
	return names
}

// Save writes adapter_config.json and adapter_model.safetensors.
func (c Config) Save(w method.Writer, m *model.Model, values method.Values) error {
	all, err := c.entries(m)
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, e := range all {
		v, err := values(e.param.Name)
		if err != nil {
			return err
		}
		t := method.Tensor(e.file, e.param.Shape, v)
		if c.pissa() {
			t = c.difference(e, v)
		}
		tensors = append(tensors, t)
	}
	written := c
	if c.pissa() {
		written = c.doubled()
	}
	if err := method.WriteConfig(w, written.peft(c.targets(m))); err != nil {
		return err
	}
	return method.WriteTensors(w, method.WeightsFile, tensors)
}

// PEFT is the settings as adapter_config.json has them, with names of the
// layers that the file has.
func (c Config) PEFT(targets []string) any { return c.peft(targets) }

func (c Config) peft(targets []string) peft {
	p := peft{
		AlphaPattern: orEmpty(c.AlphaPattern), BaseModel: c.BaseModel, Bias: "none", InferenceMode: true, Init: true,
		Alpha: c.Alpha, Dropout: c.Dropout, PeftType: "LORA", R: c.R, RankPattern: orEmpty(c.RankPattern),
		Targets: targets, TaskType: "CAUSAL_LM", UseRSLoRA: c.RSLoRA, UseDora: c.DoRA, ModulesToSave: c.Modules,
	}
	if c.Init != "" {
		p.Init = c.Init
	}
	if c.Regex {
		p.Targets = c.Targets[0]
	}
	if len(c.Layers) > 0 {
		p.Layers = c.Layers
	}
	if len(c.Exclude) > 0 {
		p.Exclude = c.Exclude
	}
	return p
}

// difference is a trained tensor beside its first values: [A; A₀], [B, −B₀].
func (c Config) difference(e entry, v []float32) safetensors.Tensor {
	first, shape := make([]float32, len(v)), e.param.Shape
	switch {
	case strings.HasSuffix(e.file, endA):
		e.param.Init(first)
		return method.Tensor(e.file, []int{2 * shape[0], shape[1]}, append(v, first...))
	case strings.HasSuffix(e.file, endB):
		e.param.Init(first)
		var both []float32
		for r := shape[1]; len(v) > 0; v, first = v[r:], first[r:] {
			both = append(both, v[:r]...)
			for _, x := range first[:r] {
				both = append(both, -x)
			}
		}
		return method.Tensor(e.file, []int{shape[0], 2 * shape[1]}, both)
	}
	return method.Tensor(e.file, shape, v)
}

// doubled is the settings of an adapter of twice the rank with the same scale.
func (c Config) doubled() Config {
	alpha := 2.0
	if c.RSLoRA {
		alpha = math.Sqrt2
	}
	c.Init, c.R, c.Alpha = "", 2*c.R, alpha*c.Alpha
	c.RankPattern, c.AlphaPattern = maps.Clone(c.RankPattern), maps.Clone(c.AlphaPattern)
	for k := range c.RankPattern {
		c.RankPattern[k] *= 2
	}
	for k := range c.AlphaPattern {
		c.AlphaPattern[k] *= alpha
	}
	return c
}

func orEmpty[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}

// Read gives the settings of an adapter directory. What would change the
// result and is not built in (biases, other types, a base that was changed) is
// an error that names the field.
func Read(dir string) (Config, error) {
	path := filepath.Join(dir, method.ConfigFile)
	p := peft{R: 8, Alpha: 8, Bias: "none"}
	if err := method.ReadConfig(dir, &p); err != nil {
		return Config{}, err
	}
	switch {
	case p.PeftType != "LORA":
		return Config{}, failure.Data("%s: peft_type is %q, want \"LORA\"", path, p.PeftType)
	case p.Bias != "none" || p.LoraBias:
		return Config{}, failure.Data("%s: the adapter trains biases (bias %q, lora_bias %v), which this build does not read", path, p.Bias, p.LoraBias)
	case p.changesBase():
		return Config{}, failure.Data("%s: init_lora_weights is %q: the adapter belongs to a base from which its start was subtracted; save it with PEFT's path_initial_model_for_weight_conversion, which makes a plain adapter", path, p.Init)
	case p.FanInFanOut:
		return Config{}, failure.Data("%s: fan_in_fan_out is set, which no built-in family uses", path)
	}
	c := Config{
		R: p.R, Alpha: p.Alpha, Dropout: p.Dropout, RSLoRA: p.UseRSLoRA,
		RankPattern: p.RankPattern, AlphaPattern: p.AlphaPattern, BaseModel: p.BaseModel,
		DoRA: p.UseDora, Modules: p.ModulesToSave, read: true,
	}
	if p.Init == "gaussian" {
		c.Init = "gaussian"
	}
	var err error
	if c.Targets, c.Regex, err = textOrList(p.Targets); err != nil {
		return Config{}, failure.Data("%s: target_modules: %w", path, err)
	}
	if c.Exclude, _, err = textOrList(p.Exclude); err != nil {
		return Config{}, failure.Data("%s: exclude_modules: %w", path, err)
	}
	if c.Regex && strings.EqualFold(c.Targets[0], "all-linear") {
		c.Regex = false
	}
	switch l := p.Layers.(type) {
	case float64:
		c.Layers = []int{int(l)}
	case []any:
		for _, v := range l {
			f, ok := v.(float64)
			if !ok {
				return Config{}, failure.Data("%s: layers_to_transform must be numbers, got %v", path, v)
			}
			c.Layers = append(c.Layers, int(f))
		}
	}
	return c, c.check()
}

// changesBase: the ways to begin that leave another base behind. "default" and
// its like are how the values began, which a file of values does not need.
func (p peft) changesBase() bool {
	init, _ := p.Init.(string)
	init = strings.ToLower(init)
	for _, way := range []string{"pissa", "olora", "corda", "loftq", "lora_ga"} {
		if strings.HasPrefix(init, way) {
			return true
		}
	}
	return false
}

func textOrList(v any) (list []string, text bool, err error) {
	switch v := v.(type) {
	case nil:
		return nil, false, nil
	case string:
		return []string{v}, true, nil
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false, errors.New("want a text or a list of texts")
			}
			list = append(list, s)
		}
		return list, false, nil
	}
	return nil, false, errors.New("want a text or a list of texts")
}

// Load reads the tensors of an adapter directory for a model that Attach has
// adapted with the same settings.
func (c Config) Load(dir string, m *model.Model) (map[string][]float32, error) {
	path := filepath.Join(dir, method.WeightsFile)
	read, shapes, err := method.ReadShaped(path)
	if err != nil {
		return nil, err
	}
	all, err := c.entries(m)
	if err != nil {
		return nil, err
	}
	values := map[string][]float32{}
	var missing []string
	for _, e := range all {
		v, ok := read[e.file]
		if !ok {
			missing = append(missing, e.file)
			continue
		}
		if !slices.Equal(shapes[e.file], e.param.Shape) {
			return nil, failure.Data("%s: %s has shape %v, the base needs %v: the adapter is for another base, or r in %s is not its rank", path, e.file, shapes[e.file], e.param.Shape, method.ConfigFile)
		}
		values[e.param.Name] = v
		delete(read, e.file)
	}
	if len(missing) > 0 {
		return nil, failure.Data("%s lacks %d tensors that the base and %s ask for, such as %s", path, len(missing), method.ConfigFile, missing[0])
	}
	for name := range read {
		return nil, failure.Data("%s has %d tensors that match no layer of the base, such as %s: the adapter is for another base", path, len(read), name)
	}
	return values, nil
}

package lora

import (
	"errors"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
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

// Save writes adapter_config.json and adapter_model.safetensors.
func (c Config) Save(w method.Writer, m *model.Model, values method.Values) error {
	chosen, err := c.choose(m)
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	var targets []string
	for _, l := range chosen {
		for _, a := range l.Adapters {
			if short := l.Name[strings.LastIndexByte(l.Name, '.')+1:]; !slices.Contains(targets, short) {
				targets = append(targets, short)
			}
			for p, end := range map[string]string{a.A.Name: ".lora_A.weight", a.B.Name: ".lora_B.weight"} {
				v, err := values(p)
				if err != nil {
					return err
				}
				shape := a.A.Shape
				if end == ".lora_B.weight" {
					shape = a.B.Shape
				}
				tensors = append(tensors, method.Tensor(prefix+l.Name+end, shape, v))
			}
		}
	}
	sort.Strings(targets)
	p := peft{
		AlphaPattern: orEmpty(c.AlphaPattern), BaseModel: c.BaseModel, Bias: "none", InferenceMode: true, Init: true,
		Alpha: c.Alpha, Dropout: c.Dropout, PeftType: "LORA", R: c.R, RankPattern: orEmpty(c.RankPattern),
		Targets: targets, TaskType: "CAUSAL_LM", UseRSLoRA: c.RSLoRA,
	}
	if c.Gaussian {
		p.Init = "gaussian"
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
	if err := method.WriteConfig(w, p); err != nil {
		return err
	}
	return method.WriteTensors(w, method.WeightsFile, tensors)
}

func orEmpty[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}

// Read gives the settings of an adapter directory. What would change the
// result and is not built in (DoRA, biases, other types) is an error that names
// the field.
func Read(dir string) (Config, error) {
	path := filepath.Join(dir, method.ConfigFile)
	p := peft{R: 8, Alpha: 8, Bias: "none"}
	if err := method.ReadConfig(dir, &p); err != nil {
		return Config{}, err
	}
	switch {
	case p.PeftType != "LORA":
		return Config{}, failure.Data("%s: peft_type is %q, want \"LORA\"", path, p.PeftType)
	case p.UseDora:
		return Config{}, failure.Data("%s: use_dora is set, which this build does not read; merge the adapter with PEFT first", path)
	case p.Bias != "none" || p.LoraBias:
		return Config{}, failure.Data("%s: the adapter trains biases (bias %q, lora_bias %v), which this build does not read", path, p.Bias, p.LoraBias)
	case len(p.ModulesToSave) > 0:
		return Config{}, failure.Data("%s: modules_to_save has %s, which this build does not read", path, strings.Join(p.ModulesToSave, ", "))
	case p.FanInFanOut:
		return Config{}, failure.Data("%s: fan_in_fan_out is set, which no built-in family uses", path)
	}
	c := Config{
		R: p.R, Alpha: p.Alpha, Dropout: p.Dropout, RSLoRA: p.UseRSLoRA,
		RankPattern: p.RankPattern, AlphaPattern: p.AlphaPattern, BaseModel: p.BaseModel,
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
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	shapes := map[string][]int{}
	for _, t := range f.Tensors() {
		shapes[t.Name] = t.Shape
	}
	f.Close()
	read, err := method.ReadTensors(path)
	if err != nil {
		return nil, err
	}
	values := map[string][]float32{}
	var missing []string
	for _, p := range m.Params.Trainable() {
		if !strings.Contains(p.Name, ".lora_") {
			continue // of a head above
		}
		name := prefix + p.Name
		v, ok := read[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		if !slices.Equal(shapes[name], p.Shape) {
			return nil, failure.Data("%s: %s has shape %v, the base needs %v: the adapter is for another base, or r in %s is not its rank", path, name, shapes[name], p.Shape, method.ConfigFile)
		}
		values[p.Name] = v
		delete(read, name)
	}
	if len(missing) > 0 {
		return nil, failure.Data("%s lacks %d tensors that the base and %s ask for, such as %s", path, len(missing), method.ConfigFile, missing[0])
	}
	for name := range read {
		return nil, failure.Data("%s has %d tensors that match no layer of the base, such as %s: the adapter is for another base", path, len(read), name)
	}
	return values, nil
}

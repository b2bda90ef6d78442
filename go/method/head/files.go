package head

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// File tells a head's directory from others. Beside it lie the tensors in
// adapter_model.safetensors, under PEFT's names, and, where transformers would
// compute the same, PEFT's adapter_config.json with modules_to_save.
const File = "head_config.json"

const prefix = "base_model.model."

// file is head_config.json.
type file struct {
	Base        string            `json:"base_model_name_or_path"`
	ProblemType data.Task         `json:"problem_type"`
	ID2Label    map[string]string `json:"id2label"`
	Pooling     string            `json:"pooling"`
	// Adapter is adapter_config.json of what was trained beneath the head.
	Adapter json.RawMessage `json:"adapter,omitempty"`
}

// Save writes the head, with what is beneath it.
func (c Config) Save(w method.Writer, m *model.Model, values method.Values) error {
	p, err := c.pooling(m.Config)
	if err != nil {
		return err
	}
	f := file{Base: c.Dir, ProblemType: c.Labels.Task, ID2Label: c.ids(), Pooling: names[p]}
	beneath := &memory{}
	if c.Beneath != nil {
		if err := c.Beneath.Save(beneath, m, values); err != nil {
			return err
		}
		f.Adapter = beneath.config
	}
	tensors, err := beneath.tensors()
	if err != nil {
		return err
	}
	module := layer(m)
	for _, q := range m.Params.Trainable() {
		if q.Name == module+".weight" || q.Name == module+".bias" {
			v, err := values(q.Name)
			if err != nil {
				return err
			}
			tensors = append(tensors, method.Tensor(prefix+q.Name, q.Shape, v))
		}
	}
	if standard(m.Config, p) {
		peft, more, err := c.peft(beneath.config, m, module)
		if err != nil {
			return err
		}
		tensors = append(tensors, more...)
		if err := method.WriteConfig(w, peft); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := w.WriteFile(File, append(text, '\n')); err != nil {
		return err
	}
	return method.WriteTensors(w, method.WeightsFile, tensors)
}

// names are the values of method.pooling, by what they are.
var names = [...]string{"cls", "last", "mean", "max"}

func (c Config) ids() map[string]string {
	ids := map[string]string{}
	for i, n := range c.Labels.Names {
		ids[strconv.Itoa(i)] = n
	}
	return ids
}

// peft is adapter_config.json for PEFT. It knows no adapter of modules_to_save
// alone, so a head on a frozen base gets a LoRA of zeros on one layer.
func (c Config) peft(beneath []byte, m *model.Model, module string) (map[string]any, []safetensors.Tensor, error) {
	peft := map[string]any{}
	var zeros []safetensors.Tensor
	if c.Beneath != nil {
		if err := json.Unmarshal(beneath, &peft); err != nil {
			return nil, nil, failure.Internal("adapter_config.json of the %s beneath: %w", c.Beneath.Name(), err)
		}
	} else {
		l := m.Linears()[0]
		peft = map[string]any{
			"base_model_name_or_path": c.Dir, "bias": "none", "inference_mode": true, "init_lora_weights": true,
			"lora_alpha": 1, "lora_dropout": 0.0, "peft_type": "LORA", "r": 1, "target_modules": []string{l.Name},
		}
		zeros = append(zeros,
			method.Tensor(prefix+l.Name+".lora_A.weight", []int{1, l.In()}, make([]float32, l.In())),
			method.Tensor(prefix+l.Name+".lora_B.weight", []int{l.Out(), 1}, make([]float32, l.Out())))
	}
	peft["task_type"], peft["modules_to_save"] = "SEQ_CLS", []string{module}
	return peft, zeros, nil
}

// Read gives the head of a directory.
func Read(dir string) (Config, error) {
	path := filepath.Join(dir, File)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, failure.NoInput("%s is not there; the directory of a head has it beside %s", path, method.WeightsFile)
	} else if err != nil {
		return Config{}, failure.As(failure.ErrIO, err)
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return Config{}, failure.Data("%s: %w", path, err)
	}
	c := Config{Labels: data.Labels{Task: f.ProblemType}, Pooling: f.Pooling, Dir: f.Base}
	if _, ok := losses[f.ProblemType]; !ok {
		return c, failure.Data("%s: problem_type is %q, want %s, %s or %s", path, f.ProblemType, data.SingleLabel, data.MultiLabel, data.Regression)
	}
	for i := range len(f.ID2Label) {
		name, ok := f.ID2Label[strconv.Itoa(i)]
		if !ok {
			return c, failure.Data("%s: id2label has %d labels and none with the id %d", path, len(f.ID2Label), i)
		}
		c.Labels.Names = append(c.Labels.Names, name)
	}
	if len(c.Labels.Names) == 0 {
		return c, failure.Data("%s: id2label is empty", path)
	}
	if len(f.Adapter) == 0 {
		return c, nil
	}
	err = within(func(alone string) error {
		if err := os.WriteFile(filepath.Join(alone, method.ConfigFile), f.Adapter, 0o644); err != nil {
			return failure.IO("%w", err)
		}
		c.Beneath, err = lora.Read(alone)
		return err
	})
	return c, err
}

// Load reads the values of the head and of what is beneath it.
func (c Config) Load(dir string, m *model.Model) (map[string][]float32, error) {
	path := filepath.Join(dir, method.WeightsFile)
	tensors, err := read(path)
	if err != nil {
		return nil, err
	}
	values, module := map[string][]float32{}, layer(m)
	for _, p := range m.Params.Trainable() {
		if p.Name != module+".weight" && p.Name != module+".bias" {
			continue
		}
		i := slices.IndexFunc(tensors, func(t safetensors.Tensor) bool { return t.Name == prefix+p.Name })
		switch {
		case i < 0:
			return nil, failure.Data("%s lacks %s%s", path, prefix, p.Name)
		case !slices.Equal(tensors[i].Shape, p.Shape):
			return nil, failure.Data("%s: %s has shape %v, the base and %s need %v: the head is for another base", path, tensors[i].Name, tensors[i].Shape, File, p.Shape)
		case tensors[i].DType != "F32":
			return nil, failure.Data("%s: %s has type %s, want F32", path, tensors[i].Name, tensors[i].DType)
		}
		v := make([]float32, p.Len())
		safetensors.BytesToF32(v, tensors[i].Data)
		values[p.Name] = v
		tensors = slices.Delete(tensors, i, i+1)
	}
	if c.Beneath == nil {
		return values, nil
	}
	err = within(func(alone string) error {
		f, err := os.Create(filepath.Join(alone, method.WeightsFile))
		if err != nil {
			return failure.IO("%w", err)
		}
		defer f.Close()
		if err := safetensors.Encode(f, tensors, nil); err != nil {
			return err
		}
		more, err := c.Beneath.Load(alone, m)
		for name, v := range more {
			values[name] = v
		}
		return err
	})
	return values, err
}

// within gives the adapter beneath a directory of its own while it is read.
func within(do func(dir string) error) error {
	dir, err := os.MkdirTemp("", "graft-head-")
	if err != nil {
		return failure.IO("%w", err)
	}
	defer os.RemoveAll(dir)
	return do(dir)
}

// read gives the tensors of a small file.
func read(path string) ([]safetensors.Tensor, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []safetensors.Tensor
	for _, t := range f.Tensors() {
		raw := make([]byte, t.Bytes())
		if err := f.ReadAt(t.Name, raw, 0); err != nil {
			return nil, err
		}
		all = append(all, safetensors.Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape, Data: raw})
	}
	return all, nil
}

// memory is the directory that the method beneath writes.
type memory struct {
	config  []byte
	weights bytes.Buffer
}

func (d *memory) WriteFile(name string, text []byte) error {
	if name == method.ConfigFile {
		d.config = text
	}
	return nil
}

func (d *memory) Stream(_ string, write func(io.Writer) error) error { return write(&d.weights) }

func (d *memory) tensors() (all []safetensors.Tensor, err error) {
	if d.weights.Len() == 0 {
		return nil, nil
	}
	err = within(func(dir string) error {
		path := filepath.Join(dir, method.WeightsFile)
		if err := os.WriteFile(path, d.weights.Bytes(), 0o644); err != nil {
			return failure.IO("%w", err)
		}
		all, err = read(path)
		return err
	})
	return all, err
}

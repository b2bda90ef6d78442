package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/failure"
)

// Config is what config.json says of a model, with the defaults of
// transformers filled in.
type Config struct {
	Family       string // model_type
	Hidden       int    // hidden_size
	Intermediate int    // intermediate_size
	Layers       int    // num_hidden_layers
	Heads        int    // num_attention_heads
	KVHeads      int    // num_key_value_heads
	HeadDim      int    // head_dim
	Vocab        int    // vocab_size
	MaxPositions int    // max_position_embeddings
	NormEps      float64
	Tied         bool // the head is the embedding
	QKVBias      bool
	OutBias      bool // of o_proj
	MLPBias      bool
	QKNorm       bool
	Windows      []int // sliding window of each layer, 0: none
	Rope         Rope
	InitRange    float64
	Encoder      bool                        // reads in both directions: BERT
	Types        int                         // type_vocab_size of an encoder
	Activation   bindings.ActivationFunction // of an encoder
	DType        string                      // torch_dtype or dtype: "float32", "bfloat16", "float16" or ""
}

// families that are built in, by model_type.
var families = []string{"llama", "mistral", "qwen2", "qwen3", "bert"}

// file is config.json as it lies on disk.
type file struct {
	ModelType     string          `json:"model_type"`
	Architectures []string        `json:"architectures"`
	AutoMap       json.RawMessage `json:"auto_map"`
	Quantization  json.RawMessage `json:"quantization_config"`

	Hidden       *int     `json:"hidden_size"`
	Intermediate *int     `json:"intermediate_size"`
	Layers       *int     `json:"num_hidden_layers"`
	Heads        *int     `json:"num_attention_heads"`
	KVHeads      *int     `json:"num_key_value_heads"`
	HeadDim      *int     `json:"head_dim"`
	Vocab        *int     `json:"vocab_size"`
	MaxPositions *int     `json:"max_position_embeddings"`
	NormEps      *float64 `json:"rms_norm_eps"`
	Act          string   `json:"hidden_act"`
	Tied         *bool    `json:"tie_word_embeddings"`
	AttnBias     bool     `json:"attention_bias"`
	MLPBias      bool     `json:"mlp_bias"`
	Window       *int     `json:"sliding_window"`
	UseWindow    *bool    `json:"use_sliding_window"`
	MaxWindow    *int     `json:"max_window_layers"`
	LayerTypes   []string `json:"layer_types"`
	InitRange    *float64 `json:"initializer_range"`
	TorchDType   string   `json:"torch_dtype"`
	DType        string   `json:"dtype"`
	ropeFields
	encoderFields
}

// ParseConfig reads config.json. path is named in errors.
func ParseConfig(path string, raw []byte) (Config, error) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return Config{}, failure.Data("%s: %w", path, err)
	}
	c, err := f.config()
	if err != nil {
		return Config{}, failure.Data("%s: %w", path, err)
	}
	return c, nil
}

func (f *file) config() (Config, error) {
	if len(f.AutoMap) > 0 {
		return Config{}, fmt.Errorf("auto_map names code to run; graft never runs code from a model, use a checkpoint of a built-in family (%s)", strings.Join(families, ", "))
	}
	if !slices.Contains(families, f.ModelType) {
		return Config{}, fmt.Errorf("model_type %q is not built in; graft has %s", f.ModelType, strings.Join(families, ", "))
	}
	if err := bnb.CheckConfig(f.Quantization); err != nil {
		return Config{}, err
	}
	encoder := f.ModelType == "bert"
	if !encoder && f.Act != "" && f.Act != "silu" && f.Act != "swish" {
		return Config{}, fmt.Errorf("hidden_act is %q, want \"silu\"", f.Act)
	}
	c := Config{
		Family: f.ModelType, NormEps: or(f.NormEps, 1e-6), InitRange: or(f.InitRange, 0.02),
		Tied: or(f.Tied, false), QKNorm: f.ModelType == "qwen3", MLPBias: f.MLPBias,
		QKVBias: f.AttnBias || f.ModelType == "qwen2", OutBias: f.AttnBias,
		DType: f.DType,
	}
	if c.DType == "" {
		c.DType = f.TorchDType
	}
	const most = 1 << 24
	for _, k := range []struct {
		name string
		from *int
		to   *int
		def  int
		max  int
	}{
		{"hidden_size", f.Hidden, &c.Hidden, 0, most},
		{"intermediate_size", f.Intermediate, &c.Intermediate, 0, most},
		{"num_hidden_layers", f.Layers, &c.Layers, 0, 4096},
		{"num_attention_heads", f.Heads, &c.Heads, 0, 65536},
		{"vocab_size", f.Vocab, &c.Vocab, 0, most},
		{"num_key_value_heads", f.KVHeads, &c.KVHeads, -1, 65536},
		{"head_dim", f.HeadDim, &c.HeadDim, -1, 4096},
		{"max_position_embeddings", f.MaxPositions, &c.MaxPositions, 2048, 1 << 30},
	} {
		*k.to = or(k.from, k.def)
		if *k.to == 0 || k.from != nil && (*k.from < 1 || *k.from > k.max) {
			return Config{}, fmt.Errorf("%s is %d, want 1 to %d", k.name, *k.to, k.max)
		}
	}
	if c.KVHeads < 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim < 0 {
		if c.Hidden%c.Heads != 0 {
			return Config{}, fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d, and there is no head_dim", c.Hidden, c.Heads)
		}
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.Heads%c.KVHeads != 0 {
		return Config{}, fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	}
	if encoder {
		return f.encoder(c)
	}
	if c.HeadDim%2 != 0 {
		return Config{}, fmt.Errorf("head_dim %d is odd; rotary positions need an even one", c.HeadDim)
	}
	if !(c.NormEps > 0) || math.IsInf(c.NormEps, 0) {
		return Config{}, fmt.Errorf("rms_norm_eps is %v, want a positive number", c.NormEps)
	}
	var err error
	if c.Windows, err = f.windows(c.Layers); err != nil {
		return Config{}, err
	}
	c.Rope, err = f.rope(c)
	return c, err
}

// windows is the sliding window of each layer.
func (f *file) windows(layers int) ([]int, error) {
	w := make([]int, layers)
	size := or(f.Window, 0)
	if size < 0 {
		return nil, fmt.Errorf("sliding_window is %d, want a positive number or null", size)
	}
	switch {
	case len(f.LayerTypes) > 0:
		if len(f.LayerTypes) != layers {
			return nil, fmt.Errorf("layer_types has %d entries for %d layers", len(f.LayerTypes), layers)
		}
		for i, t := range f.LayerTypes {
			switch t {
			case "sliding_attention":
				w[i] = size
			case "full_attention":
			default:
				return nil, fmt.Errorf("layer_types[%d] is %q, want \"full_attention\" or \"sliding_attention\"", i, t)
			}
		}
	case f.ModelType == "mistral":
		for i := range w {
			w[i] = size
		}
	case or(f.UseWindow, false):
		for i := or(f.MaxWindow, 28); i < layers; i++ {
			w[i] = size
		}
	}
	return w, nil
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

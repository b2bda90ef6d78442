package bnb

import (
	"encoding/json"
	"fmt"
)

// ConfigKey is where config.json says how a checkpoint is quantised.
const ConfigKey = "quantization_config"

// config is the part of quantization_config that decides whether we can read
// a checkpoint, and what transformers asks for in one that we write.
type config struct {
	Method     string `json:"quant_method"`
	Load4Bit   bool   `json:"load_in_4bit"`
	Load8Bit   bool   `json:"load_in_8bit"`
	QuantType  string `json:"bnb_4bit_quant_type"`
	Double     bool   `json:"bnb_4bit_use_double_quant"`
	Compute    string `json:"bnb_4bit_compute_dtype"`
	QuantStore string `json:"bnb_4bit_quant_storage"`
	Skip       any    `json:"llm_int8_skip_modules"`
	// A number, as it is written: transformers refuses a 6 that is no 6.0.
	Threshold  json.RawMessage `json:"llm_int8_threshold"`
	Float16    bool            `json:"llm_int8_has_fp16_weight"`
	CPUOffload bool            `json:"llm_int8_enable_fp32_cpu_offload"`
}

// CheckConfig refuses the quantization_config of a scheme that is not read.
// raw may be empty or null: the checkpoint is not quantised.
func CheckConfig(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("%s: %w", ConfigKey, err)
	}
	found := ""
	switch {
	case c.Method != "" && c.Method != "bitsandbytes":
		found = fmt.Sprintf("quant_method is %q", c.Method)
	case c.Load8Bit:
		found = "load_in_8bit is set"
	case !c.Load4Bit:
		found = "load_in_4bit is not set"
	case c.QuantType != "nf4":
		if c.QuantType == "" {
			c.QuantType = "fp4" // the default of transformers
		}
		found = fmt.Sprintf("bnb_4bit_quant_type is %q", c.QuantType)
	default:
		return nil
	}
	return fmt.Errorf("%s: %s; of quantised checkpoints graft reads bitsandbytes' nf4 alone, use the 16-bit one, or quantise that with graft quantize", ConfigKey, found)
}

// Config is the quantization_config of a checkpoint that is written; compute is
// the torch name of the type that transformers is to compute in.
func Config(double bool, compute string) any {
	return config{
		Method: "bitsandbytes", Load4Bit: true, QuantType: "nf4", Double: double,
		Compute: compute, QuantStore: "uint8", Threshold: json.RawMessage("6.0"),
	}
}

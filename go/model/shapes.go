package model

import (
	"maps"
	"slices"
)

// shapes are published config.json shapes by a short name, for plans of models
// that are not there. Weights have nothing to do with them.
var shapes = map[string]string{
	"tiny":            `{"model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":320,"max_position_embeddings":512,"torch_dtype":"bfloat16"}`,
	"smollm2-135m":    `{"model_type":"llama","hidden_size":576,"intermediate_size":1536,"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,"vocab_size":49152,"tie_word_embeddings":true,"max_position_embeddings":8192,"torch_dtype":"bfloat16"}`,
	"tinyllama-1.1b":  `{"model_type":"llama","hidden_size":2048,"intermediate_size":5632,"num_hidden_layers":22,"num_attention_heads":32,"num_key_value_heads":4,"vocab_size":32000,"max_position_embeddings":2048,"torch_dtype":"bfloat16"}`,
	"llama-7b":        `{"model_type":"llama","hidden_size":4096,"intermediate_size":11008,"num_hidden_layers":32,"num_attention_heads":32,"vocab_size":32000,"max_position_embeddings":4096,"torch_dtype":"float16"}`,
	"llama-3.2-1b":    `{"model_type":"llama","hidden_size":2048,"intermediate_size":8192,"num_hidden_layers":16,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,"vocab_size":128256,"tie_word_embeddings":true,"max_position_embeddings":131072,"torch_dtype":"bfloat16"}`,
	"llama-3.1-8b":    `{"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":131072,"torch_dtype":"bfloat16"}`,
	"llama-2-70b":     `{"model_type":"llama","hidden_size":8192,"intermediate_size":28672,"num_hidden_layers":80,"num_attention_heads":64,"num_key_value_heads":8,"vocab_size":32000,"max_position_embeddings":4096,"torch_dtype":"float16"}`,
	"llama-3.1-70b":   `{"model_type":"llama","hidden_size":8192,"intermediate_size":28672,"num_hidden_layers":80,"num_attention_heads":64,"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":131072,"torch_dtype":"bfloat16"}`,
	"mistral-7b-v0.3": `{"model_type":"mistral","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":32768,"max_position_embeddings":32768,"sliding_window":null,"torch_dtype":"bfloat16"}`,
	"qwen2.5-0.5b":    `{"model_type":"qwen2","hidden_size":896,"intermediate_size":4864,"num_hidden_layers":24,"num_attention_heads":14,"num_key_value_heads":2,"vocab_size":151936,"tie_word_embeddings":true,"max_position_embeddings":32768,"torch_dtype":"bfloat16"}`,
	"qwen2.5-7b":      `{"model_type":"qwen2","hidden_size":3584,"intermediate_size":18944,"num_hidden_layers":28,"num_attention_heads":28,"num_key_value_heads":4,"vocab_size":152064,"max_position_embeddings":32768,"torch_dtype":"bfloat16"}`,
}

// Shape gives the config.json of a published model by its short name.
func Shape(name string) (config []byte, ok bool) {
	text, ok := shapes[name]
	return []byte(text), ok
}

// ShapeNames lists the short names.
func ShapeNames() []string { return slices.Sorted(maps.Keys(shapes)) }

package chat

import (
	"embed"
	"sort"
)

//go:embed templates/*.jinja
var templateFiles embed.FS

// builtinTokens are the special tokens of each built-in template's family, for
// models whose own are not known.
var builtinTokens = map[string]map[string]string{
	"alpaca":    {"bos_token": "<s>", "eos_token": "</s>"},
	"chatml":    {"eos_token": "<|im_end|>"},
	"gemma":     {"bos_token": "<bos>", "eos_token": "<eos>"},
	"llama2":    {"bos_token": "<s>", "eos_token": "</s>"},
	"llama3":    {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
	"mistral":   {"bos_token": "<s>", "eos_token": "</s>"},
	"phi3":      {"bos_token": "<s>", "eos_token": "<|endoftext|>"},
	"phi4":      {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
	"qwen2":     {"eos_token": "<|im_end|>"},
	"qwen3":     {"eos_token": "<|im_end|>"},
	"smollm2":   {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
	"tinyllama": {"bos_token": "<s>", "eos_token": "</s>"},
}

// BuiltinNames lists the built-in templates in alphabetical order.
func BuiltinNames() []string {
	names := make([]string, 0, len(builtinTokens))
	for name := range builtinTokens {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Builtin gives a built-in template. All of them mark what the assistant says.
func Builtin(name string) (*Template, bool) {
	tokens, ok := builtinTokens[name]
	if !ok {
		return nil, false
	}
	source, err := templateFiles.ReadFile("templates/" + name + ".jinja")
	if err != nil {
		return nil, false
	}
	t, err := Parse(name, string(source))
	if err != nil {
		return nil, false
	}
	t.tokens = tokens
	return t, true
}

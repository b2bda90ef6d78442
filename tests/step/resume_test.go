package step

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settings are the methods; every device is held to them.
var settings = map[string]setting{
	"full":    {"llama-f32", "{type: full}", "records.jsonl", nil},
	"lora":    {"llama-f32", "{type: lora, r: 4, lora_dropout: 0.1}", "records.jsonl", nil},
	"dora":    {"llama-f32", "{type: lora, r: 4, lora_dropout: 0.1, use_dora: true}", "records.jsonl", nil},
	"qlora":   {"llama-f32", "{type: qlora, r: 4}", "records.jsonl", []string{"optim.state=8bit"}},
	"prompt":  {"llama-f32", "{type: prompt, num_virtual_tokens: 3}", "records.jsonl", nil},
	"ptuning": {"llama-f32", "{type: ptuning, num_virtual_tokens: 3}", "records.jsonl", nil},
	"prefix":  {"llama-f32", "{type: prefix, num_virtual_tokens: 3}", "records.jsonl", nil},

	"head over a decoder":            {"llama-f32", "{type: head}", "classes.jsonl", nil},
	"head over a decoder with lora":  {"llama-f32", "{type: head, beneath: lora, r: 4}", "classes.jsonl", []string{"train.micro_batch_size=2"}},
	"head over an encoder":           {"bert-f32", "{type: head, pooling: mean}", "classes.jsonl", nil},
	"head over an encoder with lora": {"bert-f32", "{type: head, pooling: mean, beneath: lora, r: 4}", "classes.jsonl", []string{"train.micro_batch_size=2"}},

	"lora in bf16":  {"llama-bf16", "{type: lora, r: 4, lora_dropout: 0.1}", "records.jsonl", nil},
	"qlora in bf16": {"llama-bf16", "{type: qlora, r: 4, lora_dropout: 0.1}", "records.jsonl", nil},
	"full in bf16":  {"llama-bf16", "{type: full}", "records.jsonl", nil},
}

// variants are their switches, which are the host's and the table of
// operations' to get right: they are held to the CPU.
var variants = map[string]setting{
	"full with frozen layers": {"llama-f32", "{type: full, freeze: [embed_tokens, layers.0]}", "records.jsonl", nil},
	"lora+":                   {"llama-f32", "{type: lora, r: 4, lora_plus_ratio: 16}", "records.jsonl", nil},
	"pissa":                   {"llama-f32", "{type: lora, r: 4, init: pissa}", "records.jsonl", nil},
	"rslora":                  {"llama-f32", "{type: lora, r: 4, use_rslora: true, init: gaussian}", "records.jsonl", nil},
	"layers_to_transform":     {"llama-f32", "{type: lora, r: 4, layers_to_transform: [1]}", "records.jsonl", nil},
	"modules_to_save":         {"llama-f32", "{type: lora, r: 4, modules_to_save: [embed_tokens, lm_head]}", "records.jsonl", nil},
	"lora, moments in 8 bits": {"llama-f32", "{type: lora, r: 64, target_modules: [q_proj, up_proj]}", "records.jsonl", []string{"optim.state=8bit"}},
	"full, moments in 8 bits": {"llama-f32", "{type: full}", "records.jsonl", []string{"optim.state=8bit"}},
	"dora over nf4":           {"llama-f32", "{type: qlora, r: 4, use_dora: true}", "records.jsonl", nil},

	"qlora, moments in float32":         {"llama-bf16", "{type: qlora, r: 64, lora_dropout: 0.1, target_modules: [q_proj, up_proj]}", "records.jsonl", []string{"optim.state=fp32"}},
	"qlora, moments in 8 bits":          {"llama-bf16", "{type: qlora, r: 64, lora_dropout: 0.1, target_modules: [q_proj, up_proj]}", "records.jsonl", []string{"optim.state=8bit"}},
	"qlora, scales not quantised":       {"llama-bf16", "{type: qlora, r: 4}", "records.jsonl", []string{"model.double_quant=false"}},
	"prompt from the vocabulary":        {"llama-f32", "{type: prompt, num_virtual_tokens: 3, init: vocab}", "records.jsonl", nil},
	"prompt from a text":                {"llama-f32", "{type: prompt, num_virtual_tokens: 3, init_text: one two}", "records.jsonl", nil},
	"prompt from random numbers":        {"llama-f32", "{type: prompt, num_virtual_tokens: 3, init: random}", "records.jsonl", nil},
	"prompt, packed not":                {"llama-bf16", "{type: prompt, num_virtual_tokens: 3}", "records.jsonl", []string{"data.packing=false"}},
	"ptuning, a narrow network":         {"llama-f32", "{type: ptuning, num_virtual_tokens: 3, encoder_hidden_size: 8}", "records.jsonl", nil},
	"prefix from a text":                {"llama-f32", "{type: prefix, num_virtual_tokens: 3, init_text: one two}", "records.jsonl", nil},
	"prefix from random numbers":        {"llama-f32", "{type: prefix, num_virtual_tokens: 3, init: random}", "records.jsonl", nil},
	"prefix with projection":            {"llama-f32", "{type: prefix, num_virtual_tokens: 3, prefix_projection: true}", "records.jsonl", nil},
	"prefix over nf4":                   {"llama-bf16", "{type: prefix, num_virtual_tokens: 3}", "records.jsonl", []string{"model.quant=nf4"}},
	"head of numbers":                   {"llama-f32", "{type: head}", "numbers.jsonl", nil},
	"head of several labels, with lora": {"bert-f32", "{type: head, pooling: mean, beneath: lora, r: 4}", "several.jsonl", []string{"train.micro_batch_size=2"}},
	"head of several labels":            {"bert-f32", "{type: head, pooling: mean}", "several.jsonl", nil},
	"head of numbers, with lora":        {"llama-f32", "{type: head, beneath: lora, r: 4, pooling: max}", "numbers.jsonl", []string{"train.micro_batch_size=2"}},
	"lora, every block run again":       {"llama-f32", "{type: lora, r: 4, lora_dropout: 0.1}", "records.jsonl", []string{"memory.checkpointing=full"}},
	"prefix, every block run again":     {"llama-f32", "{type: prefix, num_virtual_tokens: 3}", "records.jsonl", []string{"memory.checkpointing=full"}},
	"smoothed labels and z-loss":        {"llama-f32", "{type: lora, r: 4}", "records.jsonl", []string{"train.label_smoothing=0.1", "train.z_loss=1e-3"}},
}

// TestResume trains each method and variant on the CPU: the run uses the bytes
// that were planned; stopped after two steps and resumed it tells
// the same losses and norms, and writes the same bytes. A run of another seed
// does not, so that equal bits say something.
func TestResume(t *testing.T) {
	dir := workplace(t)
	all := maps.Clone(settings)
	maps.Copy(all, variants)
	require.Len(t, all, len(settings)+len(variants))
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			out := func(what string) string { return name + "/" + what }
			want, whole := s.train(t, dir, out("whole"), cpu, 0, false)
			require.Len(t, want.loss, steps)
			first, _ := s.train(t, dir, out("halves"), cpu, 2, false)
			second, resumed := s.train(t, dir, out("halves"), cpu, 0, true)
			assert.Len(t, first.loss, 2)
			assert.Equal(t, want, curve{append(first.loss, second.loss...), append(first.norm, second.norm...), append(first.eval, second.eval...)})
			assert.Equal(t, written(t, whole), written(t, resumed))
			if name == "lora" {
				_, other := s.train(t, dir, out("other"), cpu, 0, false, "train.seed=7")
				assert.NotEqual(t, written(t, whole), written(t, other))
			}
		})
	}
}

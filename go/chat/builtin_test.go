package chat_test

import (
	"strings"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const talk = `{"messages":[{"role":"user","content":"Q1"},{"role":"assistant","content":"A1"},{"role":"user","content":"ü2"},{"role":"assistant","content":"A2"}]}`

// The texts are written out by hand from the families' documented formats.
var published = map[string]string{
	"chatml":    "<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\n[A1<|im_end|>\n]<|im_start|>user\nü2<|im_end|>\n<|im_start|>assistant\n[A2<|im_end|>\n]",
	"smollm2":   "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\n[A1<|im_end|>\n]<|im_start|>user\nü2<|im_end|>\n<|im_start|>assistant\n[A2<|im_end|>\n]",
	"qwen2":     "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant[\nA1<|im_end|>\n]<|im_start|>user\nü2<|im_end|>\n<|im_start|>assistant[\nA2<|im_end|>\n]",
	"qwen3":     "<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\n[<think>\n\n</think>\n\nA1<|im_end|>\n]<|im_start|>user\nü2<|im_end|>\n<|im_start|>assistant\n[<think>\n\n</think>\n\nA2<|im_end|>\n]",
	"llama2":    "<s>{INST} Q1 {/INST} [A1 </s>]<s>{INST} ü2 {/INST} [A2 </s>]",
	"mistral":   "<s> {INST} Q1 {/INST} [A1</s>] {INST} ü2 {/INST} [A2</s>]",
	"llama3":    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQ1<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[A1<|eot_id|>]<|start_header_id|>user<|end_header_id|>\n\nü2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[A2<|eot_id|>]",
	"gemma":     "<bos><start_of_turn>user\nQ1<end_of_turn>\n<start_of_turn>model\n[A1<end_of_turn>\n]<start_of_turn>user\nü2<end_of_turn>\n<start_of_turn>model\n[A2<end_of_turn>\n]",
	"phi3":      "<|user|>\nQ1<|end|>\n<|assistant|>\n[A1<|end|>\n]<|user|>\nü2<|end|>\n<|assistant|>\n[A2<|end|>\n][<|endoftext|>]",
	"phi4":      "<|im_start|>user<|im_sep|>Q1<|im_end|><|im_start|>assistant<|im_sep|>[A1<|im_end|>]<|im_start|>user<|im_sep|>ü2<|im_end|><|im_start|>assistant<|im_sep|>[A2<|im_end|>]",
	"tinyllama": "<|user|>\nQ1</s>\n<|assistant|>\n[A1</s>\n]<|user|>\nü2</s>\n<|assistant|>\n[A2</s>\n]",
	"alpaca":    "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nQ1\n\n### Response:[A1</s>]\n\n### Instruction:\nü2\n\n### Response:[A2</s>]",
}

// marked puts brackets around the spans.
func marked(r chat.Rendered) string {
	var b strings.Builder
	at := 0
	for _, s := range r.Assistant {
		b.WriteString(r.Text[at:s.Start] + "[" + r.Text[s.Start:s.End] + "]")
		at = s.End
	}
	return b.String() + r.Text[at:]
}

func TestBuiltinText(t *testing.T) {
	c, err := chat.ParseConversation([]byte(talk))
	require.NoError(t, err)
	require.Len(t, published, len(chat.BuiltinNames()))
	for _, name := range chat.BuiltinNames() {
		tpl, ok := chat.Builtin(name)
		require.True(t, ok, name)
		require.True(t, tpl.HasGeneration(), name)
		r, err := tpl.RenderSpans(c, chat.Options{})
		require.NoError(t, err, name)
		assert.Equal(t, strings.NewReplacer("{INST}", "[INST]", "{/INST}", "[/INST]").Replace(published[name]), marked(r), name)
	}
}

func TestSpansByPrefix(t *testing.T) {
	c, err := chat.ParseConversation([]byte(talk))
	require.NoError(t, err)
	good, err := chat.Parse("plain", "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}")
	require.NoError(t, err)
	r, err := good.RenderSpans(c, chat.Options{Tokens: map[string]string{"eos_token": "</s>"}})
	require.NoError(t, err)
	assert.Equal(t, "<user>Q1</s>\n<assistant>[A1</s>]\n<user>ü2</s>\n<assistant>[A2</s>]\n", marked(r))
	last := r.RuneSpans()[1]
	assert.Equal(t, "A2</s>", string([]rune(r.Text)[last.Start:last.End]))

	bad, err := chat.Parse("late", "{% for m in messages %}{{ m.content }}{% if loop.last %}<end>{% endif %}{% endfor %}")
	require.NoError(t, err)
	_, err = bad.RenderSpans(c, chat.Options{})
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, "late")
	assert.ErrorContains(t, err, "qwen3")
}

package chat_test

import (
	"os"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/require"
)

// FuzzParseConversation asserts that any record is an error of the data or
// renders by built-in templates to spans in order within the text, or to an
// error.
func FuzzParseConversation(f *testing.F) {
	f.Add([]byte(talk))
	f.Add([]byte(`{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":[1,2.5,null]}}}]}],"tools":[{}]}`))
	f.Add([]byte(`{"messages":[{"role":"system","content":[{"type":"text"}]}],"chat_template_kwargs":{"messages":1,"enable_thinking":false}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		bounded.Run(t, 64+uint64(len(data))>>10, func() { useConversation(t, data) })
	})
}

func useConversation(t *testing.T, data []byte) {
	c, err := chat.ParseConversation(data)
	if err != nil {
		require.ErrorIs(t, err, failure.ErrData)
		return
	}
	for _, name := range []string{"qwen3", "llama2", "alpaca"} {
		tpl, _ := chat.Builtin(name)
		r, err := tpl.RenderSpans(c, chat.Options{AddGenerationPrompt: true})
		if err != nil {
			require.ErrorIs(t, err, failure.ErrData)
			continue
		}
		end := 0
		for _, s := range r.Assistant {
			require.True(t, end <= s.Start && s.Start <= s.End && s.End <= len(r.Text))
			end = s.End
		}
	}
}

// FuzzParse asserts that any template parses or fails with a place, and that
// what parses renders to spans within the text, or to an error.
func FuzzParse(f *testing.F) {
	for _, name := range chat.BuiltinNames() {
		source, err := os.ReadFile("templates/" + name + ".jinja")
		require.NoError(f, err)
		f.Add(string(source))
	}
	f.Add("{% for m in messages %}{{ m.role }}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}")
	f.Add("{% for m in messages %}{{ m.content }}{% if loop.last %}x{% endif %}{% endfor %}")
	c, err := chat.ParseConversation([]byte(talk))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, source string) {
		bounded.Run(t, 256, func() { useTemplate(t, source, c) })
	})
}

func useTemplate(t *testing.T, source string, c chat.Conversation) {
	tpl, err := chat.Parse("t", source)
	if err == nil {
		var r chat.Rendered
		if r, err = tpl.RenderSpans(c, chat.Options{}); err == nil {
			for _, s := range r.Assistant {
				require.True(t, 0 <= s.Start && s.Start <= s.End && s.End <= len(r.Text))
			}
		}
	}
	if err != nil {
		require.ErrorIs(t, err, failure.ErrData)
	}
}

package chat_test

import (
	"strings"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseConversation(t *testing.T) {
	c, err := chat.ParseConversation([]byte(`{"id": 7, "messages": [
		{"role": "user", "name": "Eve", "content": [{"type": "text", "text": "hi"}]},
		{"role": "assistant", "content": null, "tool_calls": [{"z": 1, "a": 12345678901234567890}]},
		{"role": "tool", "content": "ok"}],
		"tools": [{"name": "f", "args": {"z": 1, "a": 2}}], "chat_template_kwargs": {"enable_thinking": false}}`))
	require.NoError(t, err)
	require.Len(t, c.Messages, 3)
	assert.Equal(t, []string{"role", "name", "content"}, c.Messages[0].Fields.Keys())
	assert.Empty(t, c.Messages[0].Content)
	assert.Equal(t, "ok", c.Messages[2].Content)
	tpl, err := chat.Parse("t", "{{ messages[0].content[0].text }} {{ messages[0].name }} {{ messages[1].tool_calls|tojson }} {{ messages[1].content is none }} {{ tools|tojson }} {{ enable_thinking }}")
	require.NoError(t, err)
	r, err := tpl.Render(c, chat.Options{})
	require.NoError(t, err)
	assert.Equal(t, `hi Eve [{"z": 1, "a": 12345678901234567890}] True [{"name": "f", "args": {"z": 1, "a": 2}}] False`, r.Text)
}

func TestParseConversationErrors(t *testing.T) {
	for record, text := range map[string]string{
		``:                                 "unexpected EOF",
		`{"messages": [`:                   "invalid JSON at byte",
		`{"messages": [{"role": "user"`:    "invalid JSON at byte",
		`{"messages": []} x`:               "more after the value",
		`[]`:                               "must be a JSON object",
		`null`:                             "must be a JSON object",
		`{}`:                               `"messages" must be a list`,
		`{"messages": []}`:                 `"messages" must be a list with at least one message`,
		`{"messages": {"role": "user"}}`:   `"messages" must be a list`,
		`{"messages": ["hi"]}`:             "messages[0] must be an object",
		`{"messages": [{"content": "x"}]}`: `messages[0] must have a "role"`,
		`{"messages": [{"role": "", "content": "x"}]}`:                             `messages[0] must have a "role"`,
		`{"messages": [{"role": 1, "content": "x"}]}`:                              `messages[0] must have a "role"`,
		`{"messages": [{"role": "user"}]}`:                                         `messages[0] (role "user") must have a "content"`,
		`{"messages": [{"role": "user", "content": null}]}`:                        `messages[0] (role "user") must have a "content"`,
		`{"messages": [{"role": "assistant"}]}`:                                    `messages[0] (role "assistant") must have a "content"`,
		`{"messages": [{"role": "user", "content": 3}]}`:                           "messages[0].content must be a string or a list",
		`{"messages": [{"role": "user", "content": {"a": 1}}]}`:                    "messages[0].content must be a string or a list",
		`{"messages": [{"role": "user", "content": "x"}, []]}`:                     "messages[1] must be an object",
		`{"messages": [{"role": "u", "content": "x"}], "tools": {}}`:               `"tools" must be a list`,
		`{"messages": [{"role": "u", "content": "x"}], "chat_template_kwargs": 1}`: `"chat_template_kwargs" must be an object`,
		`{"messages": [{"role": "u", "content": "x", "n": 1e999}]}`:                "out of range",
		strings.Repeat("[", 100_000):                                               "nested more than 200 levels",
		`{"messages": [{"role": "u", "content": ` + strings.Repeat(`[`, 300):       "nested more than 200 levels",
	} {
		_, err := chat.ParseConversation([]byte(record))
		require.ErrorIs(t, err, failure.ErrData, "%.80s", record)
		assert.ErrorContains(t, err, text, "%.80s", record)
	}
}

// TestCapturedGeneration refuses spans that have no place in the text, and
// renders the same template without them.
func TestCapturedGeneration(t *testing.T) {
	c, err := chat.ParseConversation([]byte(talk))
	require.NoError(t, err)
	tpl, err := chat.Parse("captured", "{% macro say(m) %}{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}\n{% for m in messages %}{{ say(m) }}{% endfor %}")
	require.NoError(t, err)
	_, err = tpl.RenderSpans(c, chat.Options{})
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, "template captured:1:19: {% generation %} stands in a macro")
	r, err := tpl.Render(c, chat.Options{})
	require.NoError(t, err)
	assert.Equal(t, "Q1A1ü2A2", r.Text)
}

// TestLongConversation is within the limits, which grow with the conversation.
func TestLongConversation(t *testing.T) {
	var c chat.Conversation
	for range 3000 {
		c.Messages = append(c.Messages, chat.Message{Role: "user", Content: "Q"}, chat.Message{Role: "assistant", Content: "A"})
	}
	c.Messages[0].Content = strings.Repeat("long ", 1<<20)
	for _, name := range chat.BuiltinNames() {
		tpl, _ := chat.Builtin(name)
		r, err := tpl.RenderSpans(c, chat.Options{})
		require.NoError(t, err, name)
		if name == "phi3" { // ends with an end of text of its own
			r.Assistant = r.Assistant[:len(r.Assistant)-1]
		}
		assert.Equal(t, 3000, len(r.Assistant), name)
	}
}

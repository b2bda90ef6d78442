package chat_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func load(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// TestBuiltinsAsJinja2 compares text and spans with jinja2 (testdata/renders.py).
func TestBuiltinsAsJinja2(t *testing.T) {
	var given struct{ Conversations map[string]json.RawMessage }
	var cases []struct {
		Template, Conversation, Text string
		Prompt, Fails                bool
		Spans                        [][2]int
	}
	load(t, "renders.in.json", &given)
	load(t, "renders.json", &cases)
	require.Len(t, cases, 2*len(given.Conversations)*len(chat.BuiltinNames()))
	for _, c := range cases {
		tpl, ok := chat.Builtin(c.Template)
		require.True(t, ok, c.Template)
		talk, err := chat.ParseConversation(given.Conversations[c.Conversation])
		require.NoError(t, err, c.Conversation)
		r, err := tpl.RenderSpans(talk, chat.Options{AddGenerationPrompt: c.Prompt})
		if c.Fails {
			assert.ErrorIs(t, err, failure.ErrData, "%s, %s", c.Template, c.Conversation)
			continue
		}
		require.NoError(t, err, "%s, %s", c.Template, c.Conversation)
		assert.Equal(t, c.Text, r.Text, "%s, %s", c.Template, c.Conversation)
		spans := [][2]int{}
		for _, s := range r.RuneSpans() {
			spans = append(spans, [2]int{s.Start, s.End})
		}
		assert.Equal(t, c.Spans, spans, "%s, %s", c.Template, c.Conversation)
		plain, err := tpl.Render(talk, chat.Options{AddGenerationPrompt: c.Prompt})
		require.NoError(t, err)
		assert.Equal(t, c.Text, plain.Text)
		assert.Nil(t, plain.Assistant)
	}
}

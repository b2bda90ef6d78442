package chat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// modelDir writes files into a new directory.
func modelDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestFromModelDir(t *testing.T) {
	const tokens = `"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null`
	talk, err := chat.ParseConversation([]byte(`{"messages":[{"role":"user","content":"Q"}]}`))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		files map[string]string
		text  string
	}{
		"string": {map[string]string{
			"tokenizer_config.json": `{` + tokens + `, "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}"}`,
		}, "<s>Q</s>False"},
		"named": {map[string]string{
			"tokenizer_config.json": `{"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D{{ messages[0].role }}"}]}`,
		}, "Duser"},
		"file first": {map[string]string{
			"chat_template.jinja":   "F{{ eos_token }}\n",
			"tokenizer_config.json": `{` + tokens + `, "chat_template": "C"}`,
		}, "F</s>"},
		"file alone": {map[string]string{"chat_template.jinja": "F{{ eos_token is defined }}"}, "FFalse"},
		"broken in config": {map[string]string{
			"chat_template.jinja": "F", "tokenizer_config.json": `{"chat_template": "{% nonsense %}"}`,
		}, "F"},
	} {
		tpl, err := chat.FromModelDir(modelDir(t, c.files))
		require.NoError(t, err, name)
		r, err := tpl.Render(talk, chat.Options{})
		require.NoError(t, err, name)
		assert.Equal(t, c.text, r.Text, name)
	}
}

func TestFromModelDirErrors(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		kind  error
		text  string
	}{
		"nothing":        {nil, failure.ErrNoInput, "name a built-in one"},
		"no template":    {map[string]string{"tokenizer_config.json": `{"eos_token": "</s>"}`}, failure.ErrNoInput, "no chat template"},
		"no default":     {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "rag", "template": "R"}, 1]}`}, failure.ErrNoInput, "no chat template"},
		"broken JSON":    {map[string]string{"tokenizer_config.json": `{"eos_token": `}, failure.ErrData, "tokenizer_config.json: invalid JSON at byte"},
		"no object":      {map[string]string{"tokenizer_config.json": `[1]`}, failure.ErrData, "must hold a JSON object"},
		"syntax":         {map[string]string{"chat_template.jinja": "\n{{ 1 + }}"}, failure.ErrData, "chat_template.jinja:2:8: expected an expression, found '}}'"},
		"syntax in JSON": {map[string]string{"tokenizer_config.json": `{"chat_template": "a\n\n{% foo %}"}`}, failure.ErrData, "tokenizer_config.json (chat_template):3:4: unknown tag 'foo'"},
		"too large":      {map[string]string{"chat_template.jinja": strings.Repeat("x", jinja.MaxSource+1)}, failure.ErrData, "more than the 262144 allowed"},
	} {
		dir := modelDir(t, c.files)
		_, err := chat.FromModelDir(dir)
		require.ErrorIs(t, err, c.kind, name)
		assert.ErrorContains(t, err, c.text, name)
		assert.ErrorContains(t, err, dir, name)
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "chat_template.jinja"), 0o700))
	_, err := chat.FromModelDir(dir)
	require.ErrorIs(t, err, failure.ErrIO)
}

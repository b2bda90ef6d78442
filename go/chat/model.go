package chat

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
)

// maxConfig bounds tokenizer_config.json, which lists every added token.
const maxConfig = 64 << 20

// FromModelDir finds the template of a model directory: chat_template.jinja,
// else chat_template of tokenizer_config.json (a string, or a list of named
// ones, of which "default" counts). The special tokens of that file become the
// template's. Without a template the error is failure.NoInput.
func FromModelDir(dir string) (*Template, error) {
	config, err := readConfig(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "chat_template.jinja")
	source, err := readFile(path, jinja.MaxSource)
	found := err == nil
	text := string(source)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if !found {
		path = filepath.Join(dir, "tokenizer_config.json") + " (chat_template)"
		text, found = configTemplate(config)
	}
	if !found {
		return nil, failure.NoInput("%s has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json); name a built-in one", dir)
	}
	t, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	t.tokens = specialTokens(config)
	return t, nil
}

func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, failure.As(failure.ErrIO, err)
	}
	if info.Size() > limit {
		return nil, failure.Data("%s has %d bytes, more than the %d allowed", path, info.Size(), limit)
	}
	data, err := os.ReadFile(path)
	return data, failure.As(failure.ErrIO, err)
}

func readConfig(path string) (*jinja.Dict, error) {
	data, err := readFile(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := jinja.DecodeJSON(data)
	config, ok := v.(*jinja.Dict)
	if err != nil {
		return nil, failure.Data("%s: %w", path, err)
	}
	if !ok {
		return nil, failure.Data("%s must hold a JSON object", path)
	}
	return config, nil
}

func configTemplate(config *jinja.Dict) (string, bool) {
	v, _ := config.Get("chat_template")
	if s, ok := v.(string); ok {
		return s, true
	}
	named, _ := jinja.Items(v)
	for _, item := range named {
		if d, ok := item.(*jinja.Dict); ok {
			if name, _ := d.Get("name"); name == "default" {
				text, _ := d.Get("template")
				s, ok := text.(string)
				return s, ok
			}
		}
	}
	return "", false
}

func specialTokens(config *jinja.Dict) map[string]string {
	tokens := map[string]string{}
	for _, name := range []string{"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"} {
		v, _ := config.Get(name)
		if d, ok := v.(*jinja.Dict); ok {
			v, _ = d.Get("content")
		}
		if s, ok := v.(string); ok {
			tokens[name] = s
		}
	}
	return tokens
}

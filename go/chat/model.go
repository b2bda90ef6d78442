package chat

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
)

// maxConfig bounds tokenizer_config.json, which lists every added token.
const maxConfig = 64 << 20

// Open finds a template by what people call it: a built-in name, a .jinja file
// or a model directory.
func Open(path string) (*Template, error) {
	if t, ok := Builtin(path); ok {
		return t, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.NoInput("%q is no built-in template, no .jinja file and no model directory; the built-in ones are %s", path, strings.Join(BuiltinNames(), ", "))
	} else if err != nil {
		return nil, failure.As(failure.ErrIO, err)
	}
	if info.IsDir() {
		return FromModelDir(path)
	}
	if !info.Mode().IsRegular() {
		return nil, failure.Data("%s is not a regular file", path)
	}
	source, err := readFile(path, jinja.MaxSource)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(source))
}

// FromModelDir finds the template of a model directory: chat_template.jinja,
// else chat_template of tokenizer_config.json (a string, or a list of named
// ones). Of named ones "default" counts, and "tool_use" for conversations with
// tools; beside chat_template.jinja that is
// additional_chat_templates/tool_use.jinja. The special tokens of
// tokenizer_config.json, and of special_tokens_map.json, become the
// template's. Without a template the error is failure.NoInput.
func FromModelDir(dir string) (*Template, error) {
	config, err := readConfig(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	special, err := readConfig(filepath.Join(dir, "special_tokens_map.json"))
	if err != nil {
		return nil, err
	}
	tokens := specialTokens(special)
	maps.Copy(tokens, specialTokens(config))
	path, tools := filepath.Join(dir, "chat_template.jinja"), filepath.Join(dir, "additional_chat_templates", "tool_use.jinja")
	text, found, err := sourceFile(path)
	if err != nil {
		return nil, err
	}
	withTools, more, err := sourceFile(tools)
	if err != nil {
		return nil, err
	}
	if !found {
		path = filepath.Join(dir, "tokenizer_config.json") + " (chat_template)"
		tools = path
		text, found = configTemplate(config, "default")
		withTools, more = configTemplate(config, "tool_use")
	}
	if !found {
		return nil, failure.NoInput("%s has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json); name a built-in one: %s", dir, strings.Join(BuiltinNames(), ", "))
	}
	t, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	t.tokens = tokens
	if more {
		if t.tools, err = Parse(tools, withTools); err != nil {
			return nil, err
		}
		t.tools.tokens = tokens
	}
	return t, nil
}

// sourceFile reads a template that may not be there.
func sourceFile(path string) (text string, found bool, err error) {
	source, err := readFile(path, jinja.MaxSource)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return string(source), err == nil, err
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

func configTemplate(config *jinja.Dict, wanted string) (string, bool) {
	v, _ := config.Get("chat_template")
	if s, ok := v.(string); ok {
		return s, wanted == "default"
	}
	named, _ := jinja.Items(v)
	for _, item := range named {
		if d, ok := item.(*jinja.Dict); ok {
			if name, _ := d.Get("name"); name == wanted {
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

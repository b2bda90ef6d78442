package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// object reads a JSON object key by key; a key that nobody asked for is an error.
type object struct {
	path string
	keys map[string]json.RawMessage
	err  error
}

func open(path string, raw json.RawMessage) *object {
	o := &object{path: path}
	if err := json.Unmarshal(raw, &o.keys); err != nil {
		o.err = failure.Data("%s: want an object: %w", path, err)
	}
	return o
}

// get fills value from a key, false if the key is absent or null.
func (o *object) get(key string, value any) bool {
	raw, ok := o.keys[key]
	delete(o.keys, key)
	if !ok || bytes.Equal(raw, []byte("null")) {
		return false
	}
	if err := json.Unmarshal(raw, value); err != nil && o.err == nil {
		o.err = failure.Data("%s.%s: %w", o.path, key, err)
	}
	return true
}

func (o *object) need(key string, value any) {
	if !o.get(key, value) && o.err == nil {
		o.err = failure.Data("%s.%s is missing", o.path, key)
	}
}

// char reads a string of one character.
func (o *object) char(key string) string {
	var text string
	o.need(key, &text)
	if o.err == nil && utf8.RuneCountInString(text) != 1 {
		o.fail("%s.%s: want one character, got %q", o.path, key, text)
	}
	return text
}

func (o *object) fail(format string, a ...any) {
	if o.err == nil {
		o.err = failure.Data(format, a...)
	}
}

func (o *object) close() error {
	if o.err == nil && len(o.keys) > 0 {
		o.err = failure.Data("%s: unknown field %q", o.path, slices.Sorted(maps.Keys(o.keys))[0])
	}
	return o.err
}

// Parse reads the contents of a tokenizer.json.
func Parse(data []byte) (*Tokenizer, error) {
	t := &Tokenizer{source: bytes.Clone(data)}
	o := open("tokenizer", data)
	var version string
	var truncation, padding, normal, pre, post, dec, model json.RawMessage
	var added []json.RawMessage
	if o.get("version", &version) && version != "1.0" {
		o.fail("tokenizer.version: %q is not known, want \"1.0\"", version)
	}
	hasTruncation := o.get("truncation", &truncation)
	hasPadding := o.get("padding", &padding)
	o.get("added_tokens", &added)
	o.get("normalizer", &normal)
	o.get("pre_tokenizer", &pre)
	o.get("post_processor", &post)
	o.get("decoder", &dec)
	o.need("model", &model)
	if err := o.close(); err != nil {
		return nil, err
	}
	var err error
	for path, raw := range map[string]json.RawMessage{"normalizer": normal, "pre_tokenizer": pre, "decoder": dec} {
		if err := checkStage(path, raw); err != nil {
			return nil, err
		}
	}
	if hasTruncation {
		if t.settings.Truncation, err = parseTruncation(truncation); err != nil {
			return nil, err
		}
	}
	if hasPadding {
		if t.settings.Padding, err = parsePadding(padding); err != nil {
			return nil, err
		}
	}
	if t.normalizer, err = component("normalizer", normal, 0, parseNormalizer); err != nil {
		return nil, err
	}
	if t.preTokenizer, err = component("pre_tokenizer", pre, 0, parsePreTokenizer); err != nil {
		return nil, err
	}
	if t.post, err = component("post_processor", post, 0, parsePost); err != nil {
		return nil, err
	}
	if t.post != nil && max(t.post.added(false), t.post.added(true)) > maxSpecial {
		return nil, failure.Data("post_processor: %d special tokens around a text; at most %d are read", max(t.post.added(false), t.post.added(true)), maxSpecial)
	}
	if t.decoder, err = component("decoder", dec, 0, parseDecoder); err != nil {
		return nil, err
	}
	if t.model, err = parseModel(model); err != nil {
		return nil, err
	}
	if m, ok := t.model.(*bpe); ok {
		m.finish(deferBytes(t.preTokenizer, m))
	}
	if err = t.parseAdded(added); err != nil {
		return nil, err
	}
	t.size = t.model.top()
	for id := range t.added.tokens {
		t.size = max(t.size, int(id)+1)
	}
	return t, nil
}

// deferBytes lets the model apply the byte-level alphabet where that is the
// last step before it.
func deferBytes(p preTokenizer, m *bpe) bool {
	if s, ok := p.(preTokenizers); ok && len(s) > 0 {
		p = s[len(s)-1]
	}
	b, ok := p.(*byteLevel)
	if !ok || m.byteFallback || m.prefix != "" || m.suffix != "" {
		return false
	}
	b.rewrite = false
	return true
}

func component[T any](path string, raw json.RawMessage, depth int, parse func(kind string, o *object, depth int) T) (out T, err error) {
	if raw == nil || bytes.Equal(raw, []byte("null")) {
		return out, nil
	}
	o := open(path, raw)
	if depth > maxDepth {
		o.fail("%s: more than %d nested components", path, maxDepth)
	}
	var kind string
	o.need("type", &kind)
	if o.err == nil {
		out = parse(kind, o, depth)
	}
	return out, o.close()
}

// list reads the members of a Sequence.
func list[T any](o *object, key string, depth int, parse func(string, *object, int) T) []T {
	var raw []json.RawMessage
	o.need(key, &raw)
	var out []T
	for i, r := range raw {
		path := fmt.Sprintf("%s.%s[%d]", o.path, key, i)
		if bytes.Equal(r, []byte("null")) {
			o.fail("%s: want an object, got null", path)
			break
		}
		c, err := component(path, r, depth+1, parse)
		if err != nil {
			o.fail("%w", err)
			break
		}
		out = append(out, c)
	}
	return out
}

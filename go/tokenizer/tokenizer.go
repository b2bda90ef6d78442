// Package tokenizer turns text into token ids and back, reading the
// tokenizer.json of the Hugging Face tokenizers package and giving the same
// ids, offsets and decoded text. It also trains byte-level BPE vocabularies.
//
// Encode neither truncates nor pads: what a file says of that is applied only
// by EncodeWith(t.Settings(), …). Chat templates live elsewhere.
//
//	t, err := tokenizer.Load("model/")
//	e, err := t.Encode("Hello", true)
//	text, err := t.Decode(e.IDs, true)
//
// A component that this package does not know is refused by name.
package tokenizer

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// Tokenizer is immutable and safe for concurrent use.
type Tokenizer struct {
	source       []byte
	normalizer   normalizer
	preTokenizer preTokenizer
	model        model
	post         postProcessor
	decoder      decoder
	added        *addedVocabulary
	settings     Options // of the file
	size         int
}

// Load reads a tokenizer.json or a SentencePiece model (*.model), or the one in a
// model directory: tokenizer.json, else tokenizer.model.
func Load(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		dir := path
		path = filepath.Join(dir, "tokenizer.json")
		if old := filepath.Join(dir, "tokenizer.model"); !exists(path) && exists(old) {
			path = old
		}
	}
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil, failure.NoInput("%s does not exist", path)
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
		return nil, failure.Data("%s: want a regular file of at most %d MiB", path, maxFile>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	read := Parse
	if filepath.Ext(path) == ".model" {
		read = ParseSentencePiece
	}
	t, err := read(data)
	if err != nil {
		return nil, failure.Data("%s: %w", path, err)
	}
	return t, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Save writes the file that this tokenizer was read from or trained to.
func (t *Tokenizer) Save(path string) error {
	if err := os.WriteFile(path, t.source, 0o644); err != nil {
		return failure.IO("%w", err)
	}
	return nil
}

// Size is the number of ids including added tokens: the largest id plus one.
func (t *Tokenizer) Size() int { return t.size }

// ID is the id of a token as the vocabulary spells it.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.added.ids[token]; ok {
		return id, true
	}
	return t.model.id(token)
}

// Token is the spelling of an id.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if text, ok := t.added.spelling(id); ok {
		return text, true
	}
	return t.model.token(id)
}

// Settings are the truncation and padding that the file asks for, which the
// reference applies by itself. Special tokens are on.
func (t *Tokenizer) Settings() Options {
	o := t.settings
	o.AddSpecial = true
	return o
}

// IsSpecial says whether an id is an added token marked special.
func (t *Tokenizer) IsSpecial(id int32) bool {
	a, ok := t.added.tokens[id]
	return ok && a.Special
}

// Decode gives the text of ids. Ids without a token are skipped, as upstream does.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	tokens, size := make([]string, 0, len(ids)), 0
	for _, id := range ids {
		text, ok := t.Token(id)
		if !ok || skipSpecial && t.added.special[text] {
			continue
		}
		if size += len(text); size > maxDecoded {
			return "", failure.Data("the text of %d tokens is longer than %d MiB", len(ids), maxDecoded>>20)
		}
		tokens = append(tokens, text)
	}
	if t.decoder == nil {
		return strings.Join(tokens, " "), nil
	}
	tokens, err := t.decoder.decode(tokens)
	return strings.Join(tokens, ""), err
}

// Package tokenizer turns text into token ids and back, reading the
// tokenizer.json of the Hugging Face tokenizers package and giving the same
// ids, offsets and decoded text. It also trains byte-level BPE vocabularies.
//
// Truncation and padding are left to the caller: the sections of that name in
// a file are kept but not applied. Chat templates live elsewhere.
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
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// Span is a half-open range of bytes of the input text.
type Span struct{ Start, End int }

// Encoding is one encoded text (or pair): three lists of equal length.
// Tokens added by the post-processor have an empty span at 0. In a pair, the
// spans of the second text refer to that text.
type Encoding struct {
	IDs     []int32
	Offsets []Span
	TypeIDs []int32
}

func (e *Encoding) add(id int32, span Span) {
	e.IDs = append(e.IDs, id)
	e.Offsets = append(e.Offsets, span)
}

// Tokenizer is immutable and safe for concurrent use.
type Tokenizer struct {
	source       []byte
	normalizer   normalizer
	preTokenizer preTokenizer
	model        *bpe
	post         []postProcessor
	decoder      decoder
	added        *addedVocabulary
	size         int
}

// Load reads a tokenizer.json, or the one in a model directory.
func Load(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "tokenizer.json")
	}
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, failure.NoInput("%s does not exist", path)
	}
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, failure.Data("%s: %w", path, err)
	}
	return t, nil
}

// Save writes the tokenizer.json that this tokenizer was read from or trained to.
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
	id, ok := t.model.vocab[token]
	return id, ok
}

// Token is the spelling of an id.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if text, ok := t.added.spelling(id); ok {
		return text, true
	}
	text, ok := t.model.tokens[id]
	return text, ok
}

// IsSpecial says whether an id is an added token marked special.
func (t *Tokenizer) IsSpecial(id int32) bool {
	a, ok := t.added.tokens[id]
	return ok && a.Special
}

// Encode encodes one text, with the special tokens of the post-processor if
// asked. Text that is not UTF-8 is an error.
func (t *Tokenizer) Encode(text string, addSpecial bool) (Encoding, error) {
	e, err := t.encode(text, 0)
	if err != nil {
		return Encoding{}, err
	}
	return t.process([]Encoding{e}, addSpecial), nil
}

// EncodePair encodes two texts as one sequence, with type ids.
func (t *Tokenizer) EncodePair(a, b string, addSpecial bool) (Encoding, error) {
	first, err := t.encode(a, 0)
	if err != nil {
		return Encoding{}, err
	}
	second, err := t.encode(b, 1)
	if err != nil {
		return Encoding{}, err
	}
	return t.process([]Encoding{first, second}, addSpecial), nil
}

func (t *Tokenizer) encode(text string, typeID int32) (Encoding, error) {
	if !utf8.ValidString(text) {
		return Encoding{}, failure.Data("text is not UTF-8 at byte %d", invalidAt(text))
	}
	pieces, err := t.added.split(text, t.normalizer)
	if err != nil {
		return Encoding{}, err
	}
	if t.preTokenizer != nil {
		if pieces, err = t.preTokenizer.split(pieces); err != nil {
			return Encoding{}, err
		}
	}
	e := Encoding{
		IDs:     make([]int32, 0, len(text)/3+1),
		Offsets: make([]Span, 0, len(text)/3+1),
	}
	trim, prefix := t.trimming()
	for _, p := range pieces {
		from := len(e.IDs)
		if p.token >= 0 {
			e.add(p.token, p.span(0, len(p.text)))
		} else if err := t.model.tokenize(p, &e); err != nil {
			return Encoding{}, err
		}
		if trim {
			t.trimSpaces(&e, from, p, text, prefix)
		}
	}
	e.TypeIDs = make([]int32, len(e.IDs))
	for i := range e.TypeIDs {
		e.TypeIDs[i] = typeID
	}
	return e, nil
}

// Decode gives the text of ids. Ids without a token are skipped, as upstream does.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		text, ok := t.Token(id)
		if !ok || skipSpecial && t.added.special[text] {
			continue
		}
		tokens = append(tokens, text)
	}
	if t.decoder == nil {
		return strings.Join(tokens, " "), nil
	}
	tokens, err := t.decoder.decode(tokens)
	return strings.Join(tokens, ""), err
}

func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
	}
	return len(text)
}

package tokenizer

import (
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// Options say how to encode.
type Options struct {
	AddSpecial bool // with the special tokens of the post-processor
	Characters bool // spans count characters, not bytes
	Truncation *Truncation
	Padding    *Padding
}

// Encode encodes one text, with the special tokens of the post-processor if
// asked. Text that is not UTF-8 is an error.
func (t *Tokenizer) Encode(text string, addSpecial bool) (Encoding, error) {
	return t.EncodeWith(Options{AddSpecial: addSpecial}, text)
}

// EncodePair encodes two texts as one sequence, with type ids.
func (t *Tokenizer) EncodePair(a, b string, addSpecial bool) (Encoding, error) {
	return t.EncodeWith(Options{AddSpecial: addSpecial}, a, b)
}

// EncodeWith encodes one text or a pair.
func (t *Tokenizer) EncodeWith(o Options, texts ...string) (Encoding, error) {
	if len(texts) < 1 || len(texts) > 2 {
		return Encoding{}, failure.Data("want one text or two, got %d", len(texts))
	}
	parts := make([]Encoding, len(texts))
	for i, text := range texts {
		e, err := t.encode(text, i, o)
		if err != nil {
			return Encoding{}, err
		}
		parts[i] = e
	}
	return t.process(parts, o)
}

// encode is one text before post-processing.
func (t *Tokenizer) encode(text string, at int, o Options) (Encoding, error) {
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
	e, err := t.tokens(pieces, text)
	e.setType(int32(at))
	if err != nil {
		return e, err
	}
	e.text = text
	if o.Characters {
		characters(text, e.Offsets)
	}
	return e, nil
}

func (t *Tokenizer) tokens(pieces []piece, text string) (Encoding, error) {
	e := newEncoding(len(text)/3 + 1)
	for _, p := range pieces {
		if p.token >= 0 {
			e.add(p.token, p.text, p.span(0, len(p.text)))
		} else if err := t.model.tokenize(p, &e); err != nil {
			return Encoding{}, err
		}
	}
	return e, nil
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

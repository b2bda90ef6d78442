package tokenizer

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// spaceSymbol stands for a space in the pieces of SentencePiece.
const spaceSymbol = "▁"

// pieceNormalizer is the normalizer of SentencePiece (normalizer.cc): the
// longest rule of the charsmap at each place, spaces joined and escaped, one
// put before the text. What the user defined stays as it is.
type pieceNormalizer struct {
	charsmap *charsmap // nil: characters stay
	user     *trie
	spec     *sentencePieces
}

func (n *pieceNormalizer) normalize(p piece) (piece, error) {
	s := n.spec
	e := newEdit(p)
	space := " "
	if s.escapeSpaces {
		space = spaceSymbol
	}
	at := 0
	for s.removeExtra && at < len(p.text) {
		text, size := n.prefix(p.text[at:])
		if text != " " {
			break
		}
		at += size
	}
	if at == len(p.text) {
		return e.piece(), nil
	}
	if s.dummyPrefix && !s.suffix {
		e.insert(space, at)
	}
	afterSpace := s.removeExtra
	for at < len(p.text) {
		if err := p.grown(len(e.text)); err != nil {
			return p, err
		}
		text, size := n.prefix(p.text[at:])
		if afterSpace {
			text = strings.TrimLeft(text, " ")
		}
		if text != "" {
			e.stand(strings.ReplaceAll(text, " ", space), at, at+size)
			afterSpace = strings.HasSuffix(text, " ")
		}
		afterSpace = afterSpace && s.removeExtra
		at += size
	}
	if s.removeExtra {
		for bytes.HasSuffix(e.text, []byte(space)) {
			e.text, e.align = e.text[:len(e.text)-len(space)], e.align[:len(e.align)-len(space)]
		}
	}
	if s.dummyPrefix && s.suffix {
		e.insert(space, at)
	}
	return e.piece(), nil
}

// prefix is what the start of a text becomes, and how much of it.
func (n *pieceNormalizer) prefix(text string) (string, int) {
	if _, size := n.user.longest(text); size > 0 {
		return text[:size], size
	}
	if n.charsmap != nil {
		if value, size := n.charsmap.longest(text); size > 0 {
			return value, size
		}
	}
	_, size := utf8.DecodeRuneInString(text)
	return text[:size], size
}

// insert adds text that stands for nothing, before byte at of the old text.
func (e *edit) insert(text string, at int) {
	span := Span{e.from.base + at, e.from.base + at}
	if e.from.align != nil {
		span = Span{e.from.align[min(at, len(e.from.align)-1)].Start, e.from.align[min(at, len(e.from.align)-1)].Start}
	}
	e.text = append(e.text, text...)
	for range len(text) {
		e.align = append(e.align, span)
	}
}

// stand adds text that stands for bytes [start, end) of the old text.
func (e *edit) stand(text string, start, end int) {
	span := e.from.span(start, end)
	e.text = append(e.text, text...)
	for range len(text) {
		e.align = append(e.align, span)
	}
}

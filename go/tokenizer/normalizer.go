package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

type normalizer interface {
	normalize(p piece) (piece, error)
}

type normalizers []normalizer

func (s normalizers) normalize(p piece) (piece, error) {
	left := allow("normalizer", len(p.text))
	for _, n := range s {
		var err error
		if p, err = n.normalize(p); err != nil {
			return p, err
		}
		if err = left.spend(len(p.text)); err != nil {
			return p, err
		}
	}
	return p, nil
}

// grown is an error if the piece has become too long.
func (p piece) grown(size int) error {
	left := allow("normalizer", len(p.text))
	return left.spend(size)
}

func parseNormalizer(kind string, o *object, depth int) normalizer {
	switch kind {
	case "Sequence":
		return normalizers(list(o, "normalizers", depth, parseNormalizer))
	case "Prepend":
		var text string
		o.need("prepend", &text)
		return prependNormalizer(text)
	case "Replace":
		return parseReplace(o)
	case "Strip":
		var s stripNormalizer
		o.need("strip_left", &s.left)
		o.need("strip_right", &s.right)
		return s
	case "NFC":
		return form(norm.NFC)
	case "NFD":
		return form(norm.NFD)
	case "NFKC":
		return form(norm.NFKC)
	case "NFKD":
		return form(norm.NFKD)
	case "Lowercase":
		return perRune(toLower)
	case "StripAccents":
		return perRune(drop(is(isMark)))
	case "Nmt":
		return perRune(nmt)
	case "ByteLevel":
		return perRune(func(r rune) (string, bool) {
			return alphabetOf(string(r)), r >= utf8.RuneSelf || byteText[r] != string(r)
		})
	case "BertNormalizer":
		return parseBertNormalizer(o)
	case "Precompiled":
		return parsePrecompiled(o)
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

type prependNormalizer string

func (n prependNormalizer) normalize(p piece) (piece, error) { return p.prepend(string(n)), nil }

// replacer replaces each match by content, in a text or in tokens being decoded.
type replacer struct {
	pattern pattern
	content string
}

func parseReplace(o *object) replacer {
	var r replacer
	o.need("content", &r.content)
	r.pattern = parsePattern(o)
	return r
}

func (r replacer) normalize(p piece) (piece, error) {
	if p.text == "" {
		return p, nil
	}
	var e *edit
	done := 0
	var long error
	err := r.pattern.matches(p.text, func(start, end int) {
		if e == nil {
			e = newEdit(p)
		}
		if long = p.grown(len(e.text)); long != nil {
			return
		}
		e.keep(done, start)
		e.put(r.content, end-1)
		done = end
	})
	if e == nil || err != nil {
		return p, err
	}
	if long != nil {
		return p, long
	}
	e.keep(done, len(p.text))
	return e.piece(), nil
}

// stripNormalizer drops white space at the ends.
type stripNormalizer struct{ left, right bool }

func (s stripNormalizer) normalize(p piece) (piece, error) {
	start, end := 0, len(p.text)
	if s.left {
		start = end - len(strings.TrimLeftFunc(p.text, unicode.IsSpace))
	}
	if s.right {
		end = start + len(strings.TrimRightFunc(p.text[start:], unicode.IsSpace))
	}
	if start == 0 && end == len(p.text) {
		return p, nil
	}
	e := newEdit(p)
	e.keep(start, end)
	return e.piece(), nil
}

// perRune rewrites characters one by one; false keeps one.
type perRune func(r rune) (string, bool)

func (f perRune) normalize(p piece) (piece, error) { return p.each(f), nil }

func drop(member func(rune) bool) perRune {
	return func(r rune) (string, bool) { return "", member(r) }
}

func toLower(r rune) (string, bool) {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			return string(r + 'a' - 'A'), true
		}
		return "", false
	}
	lower := lowerCase(r)
	return lower, lower != string(r)
}

// nmt is the cleaning that precedes the rules of SentencePiece's nmt_* forms.
func nmt(r rune) (string, bool) {
	switch {
	case 1 <= r && r <= 8, r == 0xB, 0xE <= r && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
		return "", true
	case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200B <= r && r <= 0x200F,
		r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
		return " ", true
	}
	return "", false
}

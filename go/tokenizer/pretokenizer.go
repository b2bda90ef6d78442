package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

type preTokenizer interface {
	split(in []piece) ([]piece, error)
}

type preTokenizers []preTokenizer

func (s preTokenizers) split(in []piece) ([]piece, error) {
	left := allow("pre_tokenizer", length(in))
	for _, p := range s {
		var err error
		if in, err = p.split(in); err != nil {
			return nil, err
		}
		if err = left.spend(length(in)); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func length(in []piece) (n int) {
	for _, p := range in {
		n += len(p.text)
	}
	return n
}

func parsePreTokenizer(kind string, o *object, depth int) preTokenizer {
	switch kind {
	case "Sequence":
		return preTokenizers(list(o, "pretokenizers", depth, parsePreTokenizer))
	case "ByteLevel":
		b := &byteLevel{rewrite: true}
		prefixSpace, _, useRegex := parseByteLevel(o)
		b.prefixSpace = prefixSpace
		if useRegex {
			b.pattern = scanner(gpt2End)
		}
		return b
	case "Split":
		s := splitter{behavior: parseBehavior(o, "")}
		o.need("invert", &s.invert)
		s.pattern = parsePattern(o)
		return s
	case "Punctuation":
		return splitter{pattern: runePattern(is(isPunctuation)), behavior: parseBehavior(o, isolated)}
	case "Digits":
		var individual bool
		o.need("individual_digits", &individual)
		if individual {
			return splitter{runePattern(is(isNumber)), isolated, false}
		}
		return splitter{runePattern(is(isNumber)), contiguous, false}
	case "CharDelimiterSplit":
		return splitter{pattern: literal(o.char("delimiter")), behavior: removed}
	case "Whitespace":
		return splitter{words{}, removed, true}
	case "WhitespaceSplit":
		return splitter{runePattern(unicode.IsSpace), removed, false}
	case "BertPreTokenizer":
		return preTokenizers{
			splitter{runePattern(unicode.IsSpace), removed, false},
			splitter{runePattern(is(isPunctuation)), isolated, false},
		}
	case "UnicodeScripts":
		return byScript{}
	case "FixedLength":
		length := 5
		if o.get("length", &length); length < 1 {
			o.fail("%s.length: want at least 1, got %d", o.path, length)
		}
		return fixedLength(length)
	case "Metaspace":
		return parseMetaspace(o)
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

func parseByteLevel(o *object) (prefixSpace, trim, useRegex bool) {
	useRegex = true
	o.need("add_prefix_space", &prefixSpace)
	o.need("trim_offsets", &trim)
	o.get("use_regex", &useRegex)
	return prefixSpace, trim, useRegex
}

// each applies f to the pieces that are not added tokens yet.
func each(in []piece, f func(p piece, emit func(piece)) error) ([]piece, error) {
	out := make([]piece, 0, len(in))
	emit := func(p piece) {
		if p.text != "" {
			out = append(out, p)
		}
	}
	for _, p := range in {
		if p.token >= 0 {
			out = append(out, p)
		} else if err := f(p, emit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// byteLevel splits as GPT-2 does and, unless the model does it, rewrites the
// bytes in the byte-level alphabet.
type byteLevel struct {
	pattern     pattern // nil: no split
	prefixSpace bool
	rewrite     bool
}

func (b *byteLevel) split(in []piece) ([]piece, error) {
	return each(in, func(p piece, emit func(piece)) error {
		if b.prefixSpace && !strings.HasPrefix(p.text, " ") {
			p = p.prepend(" ")
		}
		finish := emit
		if b.rewrite {
			finish = func(p piece) { emit(toAlphabet(p)) }
		}
		if b.pattern == nil {
			finish(p)
			return nil
		}
		return b.pattern.matches(p.text, func(start, end int) { finish(p.slice(start, end)) })
	})
}

func toAlphabet(p piece) piece {
	e := newEdit(p)
	for i := range len(p.text) {
		e.put(byteText[p.text[i]], i)
	}
	return e.piece()
}

// metaspace writes spaces as the replacement, puts one before the text, and
// splits before each.
type metaspace struct {
	replacement string
	prepend     string // first, never, always
	cut         bool
}

func parseMetaspace(o *object) metaspace {
	m := metaspace{prepend: "always", cut: true}
	var old string
	prefix := true
	m.replacement = o.char("replacement")
	o.get("str_rep", &old)
	o.get("prepend_scheme", &m.prepend)
	o.get("split", &m.cut)
	if o.get("add_prefix_space", &prefix) && !prefix && m.prepend != "never" {
		o.fail("%s: add_prefix_space false contradicts prepend_scheme %q", o.path, m.prepend)
	}
	if !slices.Contains([]string{"always", "first", "never"}, m.prepend) {
		o.fail("%s.prepend_scheme: %q is not one of always, first, never", o.path, m.prepend)
	}
	return m
}

func (m metaspace) split(in []piece) ([]piece, error) {
	return each(in, func(p piece, emit func(piece)) error {
		p, err := replacer{literal(" "), m.replacement}.normalize(p)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(p.text, m.replacement) && (m.prepend == "always" || m.prepend == "first" && p.base == 0) {
			p = p.prepend(m.replacement)
		}
		if !m.cut {
			emit(p)
			return nil
		}
		parts, err := splitter{literal(m.replacement), mergedWithNext, false}.split([]piece{p})
		for _, q := range parts {
			emit(q)
		}
		return err
	})
}

// fixedLength cuts after that many characters.
type fixedLength int

func (f fixedLength) split(in []piece) ([]piece, error) {
	return each(in, func(p piece, emit func(piece)) error {
		start, n := 0, 0
		for i := range p.text {
			if n == int(f) {
				emit(p.slice(start, i))
				start, n = i, 0
			}
			n++
		}
		emit(p.slice(start, len(p.text)))
		return nil
	})
}

// byScript splits where the script changes, as SentencePiece does when it
// trains. Characters without a script join what is before them; at the start
// of a text they are lost: so it is upstream.
type byScript struct{}

func (byScript) split(in []piece) ([]piece, error) {
	return each(in, func(p piece, emit func(piece)) error {
		start, last := -1, ""
		for i, r := range p.text {
			s := scriptOf(r)
			if s == "" || s == last {
				continue
			}
			if start >= 0 {
				emit(p.slice(start, i))
			}
			start, last = i, s
		}
		if start >= 0 {
			emit(p.slice(start, len(p.text)))
		}
		return nil
	})
}

// scriptOf is the script of a character, kana and the long vowel mark counted
// as Han; empty for the space and for what has none.
func scriptOf(r rune) string {
	switch {
	case r == 'ー':
		return "Han"
	case r == 0x953, r == 0x954: // these and the next have moved since
		return "Devanagari"
	case r == 0x589, r == 0x61C:
		return "Common"
	case r == ' ', r >= utf8.RuneSelf && classOf(r)&isUnscripted != 0:
		return ""
	}
	for _, name := range scriptNames() {
		if unicode.Is(unicode.Scripts[name], r) {
			if name == "Hiragana" || name == "Katakana" {
				return "Han"
			}
			return name
		}
	}
	return ""
}

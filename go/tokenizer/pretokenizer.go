package tokenizer

import (
	"strings"
	"unicode"
)

type preTokenizer interface {
	split(in []piece) ([]piece, error)
}

type preTokenizers []preTokenizer

func (s preTokenizers) split(in []piece) ([]piece, error) {
	for _, p := range s {
		var err error
		if in, err = p.split(in); err != nil {
			return nil, err
		}
	}
	return in, nil
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

// Behaviours of a split: what becomes of the delimiters.
const (
	removed            = "Removed"
	isolated           = "Isolated"
	mergedWithPrevious = "MergedWithPrevious"
	mergedWithNext     = "MergedWithNext"
	contiguous         = "Contiguous"
)

type splitter struct {
	pattern  pattern
	behavior string
	invert   bool
}

type stretch struct {
	start, end int
	match      bool
}

func (s splitter) split(in []piece) ([]piece, error) {
	return each(in, func(p piece, emit func(piece)) error {
		var all []stretch
		done := 0
		err := s.pattern.matches(p.text, func(start, end int) {
			if done < start {
				all = append(all, stretch{done, start, s.invert})
			}
			all = append(all, stretch{start, end, !s.invert})
			done = end
		})
		if done < len(p.text) {
			all = append(all, stretch{done, len(p.text), s.invert})
		}
		for _, r := range arrange(all, s.behavior) {
			emit(p.slice(r.start, r.end))
		}
		return err
	})
}

// arrange joins or removes delimiters.
func arrange(all []stretch, behavior string) []stretch {
	out := all[:0]
	previous := false
	switch behavior {
	case removed:
		for _, r := range all {
			if !r.match {
				out = append(out, r)
			}
		}
	case isolated:
		return all
	case contiguous, mergedWithPrevious:
		for _, r := range all {
			join := r.match == previous
			if behavior == mergedWithPrevious {
				join = r.match && !previous
			}
			previous = r.match
			if join && len(out) > 0 {
				out[len(out)-1].end = r.end
			} else {
				out = append(out, r)
			}
		}
	case mergedWithNext:
		at := len(all)
		for i := len(all) - 1; i >= 0; i-- {
			r := all[i]
			if r.match && !previous && at < len(all) {
				all[at].start = r.start
			} else {
				at--
				all[at] = r
			}
			previous = r.match
		}
		return all[at:]
	}
	return out
}

// runePattern matches single characters.
type runePattern func(r rune) bool

func (p runePattern) matches(text string, f func(int, int)) error {
	for i, r := range text {
		if p(r) {
			f(i, i+len(string(r)))
		}
	}
	return nil
}

// literal matches a string.
type literal string

func (l literal) matches(text string, f func(int, int)) error {
	for i := 0; l != ""; {
		n := strings.Index(text[i:], string(l))
		if n < 0 {
			return nil
		}
		f(i+n, i+n+len(l))
		i += n + len(l)
	}
	return nil
}

func digits(individual bool) splitter {
	if individual {
		return splitter{runePattern(unicode.IsNumber), isolated, false}
	}
	return splitter{runePattern(unicode.IsNumber), contiguous, false}
}

// metaspace writes spaces as the replacement, puts one before the text, and
// splits before each.
type metaspace struct {
	replacement string
	prepend     string // first, never, always
	cut         bool
}

func (m metaspace) split(in []piece) ([]piece, error) {
	return each(in, func(p piece, emit func(piece)) error {
		start := p.span(0, 1).Start
		p, err := replacer{literal(" "), m.replacement}.normalize(p)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(p.text, m.replacement) && (m.prepend == "always" || m.prepend == "first" && start == 0) {
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

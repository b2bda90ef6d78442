package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Behaviours of a split: what becomes of the delimiters.
const (
	removed            = "Removed"
	isolated           = "Isolated"
	mergedWithPrevious = "MergedWithPrevious"
	mergedWithNext     = "MergedWithNext"
	contiguous         = "Contiguous"
)

// parseBehavior reads "behavior", which may be absent where there is a default.
func parseBehavior(o *object, behavior string) string {
	if behavior == "" {
		o.need("behavior", &behavior)
	} else {
		o.get("behavior", &behavior)
	}
	known := []string{removed, isolated, mergedWithPrevious, mergedWithNext, contiguous}
	if !slices.Contains(known, behavior) {
		o.fail("%s.behavior: %q is not one of %s", o.path, behavior, strings.Join(known, ", "))
	}
	return behavior
}

// splitter cuts at the matches of a pattern; with invert, at what is between them.
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

// literal matches a string; the empty one matches between all characters.
type literal string

func (l literal) matches(text string, f func(int, int)) error {
	if l == "" {
		for i := range text {
			f(i, i)
		}
		f(len(text), len(text))
		return nil
	}
	for i := 0; ; {
		n := strings.Index(text[i:], string(l))
		if n < 0 {
			return nil
		}
		f(i+n, i+n+len(l))
		i += n + len(l)
	}
}

// scriptNames are the scripts, the frequent ones first.
var scriptNames = sync.OnceValue(func() []string {
	first := []string{"Common", "Latin", "Han", "Cyrillic", "Arabic", "Hiragana", "Katakana", "Hangul", "Inherited"}
	names := slices.Clone(first)
	for name := range unicode.Scripts {
		if !slices.Contains(first, name) {
			names = append(names, name)
		}
	}
	return names
})

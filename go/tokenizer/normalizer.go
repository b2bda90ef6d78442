package tokenizer

import (
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
	"golang.org/x/text/unicode/norm"
)

type normalizer interface {
	normalize(p piece) (piece, error)
}

type normalizers []normalizer

// maxGrowth bounds a normalized text, as a multiple of the text before: rules
// that feed each other could otherwise double it without end.
const maxGrowth = 256

func (s normalizers) normalize(p piece) (piece, error) {
	limit := maxGrowth * (len(p.text) + 256)
	for _, n := range s {
		var err error
		if p, err = n.normalize(p); err != nil {
			return p, err
		}
		if len(p.text) > limit {
			return p, failure.Data("normalizer: the text grows beyond %d times its size", maxGrowth)
		}
	}
	return p, nil
}

type prependNormalizer string

func (n prependNormalizer) normalize(p piece) (piece, error) { return p.prepend(string(n)), nil }

// replacer replaces each match by content, in a text or in tokens being decoded.
type replacer struct {
	pattern pattern
	content string
}

func (r replacer) normalize(p piece) (piece, error) {
	var e *edit
	done := 0
	err := r.pattern.matches(p.text, func(start, end int) {
		if e == nil {
			e = newEdit(p)
		}
		e.keep(done, start)
		if end > 0 {
			e.put(r.content, end-1)
		}
		done = end
	})
	if e == nil || err != nil {
		return p, err
	}
	e.keep(done, len(p.text))
	return e.piece(), nil
}

// form is a Unicode normal form (UAX 15).
type form norm.Form

func (f form) normalize(p piece) (piece, error) {
	form := norm.Form(f)
	if form.IsNormalString(p.text) {
		return p, nil
	}
	e := newEdit(p)
	for i := 0; i < len(p.text); {
		n := form.NextBoundaryInString(p.text[i:], true)
		if n <= 0 {
			n = len(p.text) - i
		}
		old := p.text[i : i+n]
		if form.IsNormalString(old) {
			e.keep(i, i+n)
		} else {
			f.segment(e, i, old)
		}
		i += n
	}
	return e.piece(), nil
}

// segment aligns a changed segment: counted in decomposed characters, each new
// character stems from the old one at whose place it begins.
func (f form) segment(e *edit, at int, old string) {
	decompose := norm.NFD
	if form := norm.Form(f); form == norm.NFKC || form == norm.NFKD {
		decompose = norm.NFKD
	}
	var origin []int
	for i, r := range old {
		for range utf8.RuneCountInString(decompose.String(string(r))) {
			origin = append(origin, at+i)
		}
	}
	k := 0
	for _, r := range norm.Form(f).String(old) {
		e.put(string(r), origin[min(k, len(origin)-1)])
		k += utf8.RuneCountInString(decompose.String(string(r)))
	}
}

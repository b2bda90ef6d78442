package tokenizer

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// form is a Unicode normal form (UAX 15). The reference knows the characters of
// an older Unicode: those without isNormal are left alone.
type form norm.Form

func (f form) normalize(p piece) (piece, error) {
	if norm.Form(f).IsNormalString(p.text) {
		return p, nil
	}
	changes := decompose(p.text, norm.Form(f) == norm.NFKC || norm.Form(f) == norm.NFKD)
	if norm.Form(f) == norm.NFC || norm.Form(f) == norm.NFKC {
		changes = compose(changes)
	}
	return p.transform(changes), nil
}

// decompose is the full decomposition in canonical order.
func decompose(text string, compatible bool) []change {
	d := norm.NFD
	if compatible {
		d = norm.NFKD
	}
	out := make([]change, 0, len(text))
	starter := 0
	for i, r := range text {
		if r < utf8.RuneSelf || classOf(r)&isNormal == 0 {
			sortMarks(out[starter:])
			out = append(out, change{r, 0})
			starter = len(out)
			continue
		}
		first := 0
		for _, c := range d.String(text[i : i+utf8.RuneLen(r)]) {
			if combiningClass(c) == 0 {
				sortMarks(out[starter:])
				starter = len(out)
			}
			out = append(out, change{c, first})
			first = 1
		}
	}
	sortMarks(out[starter:])
	return out
}

func sortMarks(marks []change) {
	if len(marks) > 1 {
		slices.SortStableFunc(marks, func(a, b change) int { return cmp.Compare(combiningClass(a.r), combiningClass(b.r)) })
	}
}

func combiningClass(r rune) uint8 {
	if r < utf8.RuneSelf || classOf(r)&isNormal == 0 {
		return 0
	}
	var b [utf8.UTFMax]byte
	return norm.NFD.Properties(b[:utf8.EncodeRune(b[:], r)]).CCC()
}

// compose joins what was decomposed: a character with each later one that is
// not blocked from it (UAX 15, D117).
func compose(in []change) []change {
	out := make([]change, 0, len(in))
	base := -1 // of the last starter in out
	last := -1 // class of the last mark kept after it; -1 for none
	for _, c := range in {
		class := int(combiningClass(c.r))
		if base >= 0 && last < class {
			if r, ok := composite(out[base].r, c.r); ok {
				out[base] = change{r, out[base].more + c.more - 1}
				continue
			}
		}
		if class == 0 {
			base, last = len(out), -1
		} else if base >= 0 {
			last = class
		}
		out = append(out, c)
	}
	return out
}

func composite(a, b rune) (rune, bool) {
	if b < utf8.RuneSelf {
		return 0, false
	}
	var pair, joined [2 * utf8.UTFMax]byte
	n := utf8.EncodeRune(pair[:], a)
	n += utf8.EncodeRune(pair[n:], b)
	c := norm.NFC.Append(joined[:0], pair[:n]...)
	r, size := utf8.DecodeRune(c)
	return r, size == len(c) && classOf(r)&isNormal != 0
}

package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// upper, lower, folded and title change case by the full rules of Unicode, as Python:
// one letter may become several, and a sigma at the end of a word is final.
func upper(text string) string  { return cases.Upper(language.Und).String(text) }
func lower(text string) string  { return cases.Lower(language.Und).String(text) }
func folded(text string) string { return cases.Fold().String(text) }
func title(first string) string {
	return cases.Title(language.Und, cases.NoLower).String(first)
}

// strip drops white space, or the given characters, from the ends.
func strip(text string, chars any, left, right bool) string {
	drop := isSpace
	if chars != nil {
		list, ok := asString(chars)
		if !ok {
			fail("the characters to strip must be a string, not %s", typeName(chars))
		}
		set := map[rune]bool{}
		for _, r := range list {
			set[r] = true
		}
		drop = func(r rune) bool { return set[r] }
	}
	if left {
		text = strings.TrimLeftFunc(text, drop)
	}
	if right {
		text = strings.TrimRightFunc(text, drop)
	}
	return text
}

// titleWords is str.title: a letter after anything else is a capital.
func titleWords(text string) string {
	return titled(text, unicode.IsLetter, title)
}

// titleFilter is the filter title: capitals stand after white space, hyphens
// and opening brackets alone.
func titleFilter(text string) string {
	return titled(text, func(r rune) bool { return !isSpace(r) && !strings.ContainsRune("-({[<", r) }, upper)
}

// titled begins each word with a capital; word tells what a word is made of.
func titled(text string, word func(rune) bool, capital func(string) string) string {
	var b strings.Builder
	for text != "" {
		begin := strings.IndexFunc(text, word)
		if begin < 0 {
			break
		}
		b.WriteString(text[:begin])
		text = text[begin:]
		end := strings.IndexFunc(text, func(r rune) bool { return !word(r) })
		if end < 0 {
			end = len(text)
		}
		_, first := utf8.DecodeRuneInString(text)
		b.WriteString(capital(text[:first]) + lower(text[first:end]))
		text = text[end:]
	}
	return b.String() + text
}

func capitalize(text string) string {
	_, first := utf8.DecodeRuneInString(text)
	return title(text[:first]) + lower(text[first:])
}

func swapCase(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsUpper(r) {
			b.WriteString(lower(string(r)))
		} else {
			b.WriteString(upper(string(r)))
		}
	}
	return b.String()
}

func isUpper(text string) bool {
	return text == strings.ToUpper(text) && text != strings.ToLower(text)
}

func isLower(text string) bool {
	return text == strings.ToLower(text) && text != strings.ToUpper(text)
}

// replace replaces the first limit places, all when limit is negative.
func (m *meter) replace(text, old, with string, limit int64) string {
	count := int64(strings.Count(text, old))
	if limit >= 0 {
		count = min(count, limit)
	}
	m.growTimes(len(with), count)
	return strings.Replace(text, old, with, int(count))
}

// pad fills a string up to a width in characters; on both sides, what is odd
// goes where Python's str.center puts it.
func (m *meter) pad(text string, width int64, left, right bool, fill string) string {
	n := width - length(text)
	if n <= 0 {
		return text
	}
	m.growTimes(len(fill), n)
	before := int64(0)
	switch {
	case left && right:
		before = n/2 + n&width&1
	case left:
		before = n
	}
	return strings.Repeat(fill, int(before)) + text + strings.Repeat(fill, int(n-before))
}

// part pays for one more string of a list.
func (m *meter) part(parts []any, text string) []any {
	m.grow(2 * cell)
	return append(parts, text)
}

// split cuts at a separator, at most limit times unless that is negative.
func (m *meter) split(text, sep string, limit int64, right bool) []any {
	parts := []any{}
	for limit < 0 || int64(len(parts)) < limit {
		at := strings.Index(text, sep)
		if right {
			at = strings.LastIndex(text, sep)
		}
		switch {
		case at < 0:
			limit = int64(len(parts))
			continue
		case right:
			parts = m.part(parts, text[at+len(sep):])
			text = text[:at]
		default:
			parts = m.part(parts, text[:at])
			text = text[at+len(sep):]
		}
	}
	parts = m.part(parts, text)
	if right {
		slices.Reverse(parts)
	}
	return parts
}

// fields cuts at runs of white space.
func (m *meter) fields(text string, limit int64, right bool) []any {
	parts := []any{}
	if right {
		text = strings.TrimRightFunc(text, isSpace)
		for text != "" && (limit < 0 || int64(len(parts)) < limit) {
			at := strings.LastIndexFunc(text, isSpace)
			_, n := utf8.DecodeRuneInString(text[max(at, 0):])
			if at < 0 {
				at, n = 0, 0
			}
			parts = m.part(parts, text[at+n:])
			text = strings.TrimRightFunc(text[:at], isSpace)
		}
		if text != "" {
			parts = m.part(parts, text)
		}
		slices.Reverse(parts)
		return parts
	}
	for text = strings.TrimLeftFunc(text, isSpace); text != ""; text = strings.TrimLeftFunc(text, isSpace) {
		end := strings.IndexFunc(text, isSpace)
		if end < 0 || int64(len(parts)) == limit {
			return m.part(parts, text)
		}
		parts = m.part(parts, text[:end])
		text = text[end:]
	}
	return parts
}

func isLineEnd(r rune) bool {
	return r >= '\n' && r <= '\r' || r >= 0x1c && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
}

// lines is str.splitlines.
func (m *meter) lines(text string) []any {
	parts := []any{}
	for text != "" {
		end := strings.IndexFunc(text, isLineEnd)
		if end < 0 {
			return m.part(parts, text)
		}
		parts = m.part(parts, text[:end])
		_, n := utf8.DecodeRuneInString(text[end:])
		if strings.HasPrefix(text[end:], "\r\n") {
			n = 2
		}
		text = text[end+n:]
	}
	return parts
}

// splitPath cuts "a.b.0" into keys; digits are an index.
func splitPath(path string) []any {
	var keys []any
	for _, part := range strings.Split(path, ".") {
		if i, ok := decimal(part); ok {
			keys = append(keys, i)
		} else {
			keys = append(keys, part)
		}
	}
	return keys
}

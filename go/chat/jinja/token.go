package jinja

import (
	"sort"
	"unicode/utf8"
)

type tokenKind byte

const (
	tokenText tokenKind = iota
	tokenPrint
	tokenPrintEnd
	tokenBlock
	tokenBlockEnd
	tokenName
	tokenString
	tokenNumber
	tokenOp
	tokenEOF
)

// token is one word of the source; at is its byte offset.
type token struct {
	kind  tokenKind
	text  string
	value any // of a number
	at    int
}

// describe names a token in an error.
func (t token) describe() string {
	switch t.kind {
	case tokenPrintEnd:
		return "'}}'"
	case tokenBlockEnd:
		return "'%}'"
	case tokenEOF:
		return "the end of the template"
	case tokenString:
		return "a string"
	}
	return "'" + t.text + "'"
}

// source is the template text with its line starts.
type source struct {
	name  string
	text  string
	lines []int
}

func newSource(name, text string) *source {
	s := &source{name: name, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// position gives line and column, both from 1, the column in characters.
func (s *source) position(at int) (line, column int) {
	at = min(at, len(s.text))
	line = sort.SearchInts(s.lines, at+1)
	return line, 1 + utf8.RuneCountInString(s.text[s.lines[line-1]:at])
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	switch {
	case r >= 9 && r <= 13, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0, r == 0x1680,
		r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}

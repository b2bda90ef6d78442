package tokenizer

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// class is a set of the kinds of characters that components ask for. The
// reference is built from several versions of Unicode; testdata/make_classes.py
// asks it about every character and writes classes.txt.
type class uint16

const (
	isControl     class = 1 << iota // dropped by clean_text of BertNormalizer
	isNonspacing                    // dropped by strip_accents of BertNormalizer
	isMark                          // dropped by StripAccents
	isPunctuation                   // Punctuation, BertPreTokenizer
	isNumber                        // Digits
	isWord                          // \w in Whitespace and single_word
	isLetter                        // \p{L} in split patterns
	isNumeral                       // \p{N} in split patterns
	isSpace                         // white space everywhere
	isUnscripted                    // of no script in UnicodeScripts
	isNormal                        // changed or moved by a normal form
)

var classNames = map[string]class{
	"control": isControl, "nonspacing": isNonspacing, "mark": isMark, "punctuation": isPunctuation,
	"number": isNumber, "word": isWord, "letter": isLetter, "numeral": isNumeral, "space": isSpace,
	"unscripted": isUnscripted, "normal": isNormal,
}

//go:embed classes.txt
var classText string

// classPages holds one class for each character, in shared pages of 256.
type classPages struct {
	page    [(unicode.MaxRune + 1) >> 8]uint16
	classes [][256]class
	lower   map[rune]rune
}

var loadClasses = sync.OnceValue(func() *classPages {
	t := &classPages{lower: map[rune]rune{}}
	flat := make([]class, unicode.MaxRune+1)
	for line := range strings.Lines(classText) {
		words := strings.Fields(line)
		for _, w := range words[1:] {
			if from, to, ok := strings.Cut(w, ":"); ok {
				t.lower[hexRune(from)] = hexRune(to)
				continue
			}
			low, high, ok := strings.Cut(w, "-")
			if !ok {
				high = low
			}
			for r := hexRune(low); r <= hexRune(high); r++ {
				flat[r] |= classNames[words[0]]
			}
		}
	}
	seen := map[[256]class]uint16{}
	for i := range t.page {
		p := [256]class(flat[i<<8:])
		at, ok := seen[p]
		if !ok {
			at = uint16(len(t.classes))
			seen[p] = at
			t.classes = append(t.classes, p)
		}
		t.page[i] = at
	}
	return t
})

func hexRune(s string) rune {
	n, _ := strconv.ParseUint(s, 16, 32)
	return rune(n)
}

func classOf(r rune) class {
	t := loadClasses()
	return t.classes[t.page[r>>8]][r&255]
}

// is gives a test for any of some classes.
func is(c class) func(rune) bool { return func(r rune) bool { return classOf(r)&c != 0 } }

// lowerCase is the lower case of a character, two characters for U+0130.
func lowerCase(r rune) string {
	if r == 'İ' {
		return "i̇"
	}
	if l, ok := loadClasses().lower[r]; ok {
		r = l
	} else {
		r = unicode.ToLower(r)
	}
	return string(r)
}

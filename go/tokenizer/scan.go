package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// The split patterns that are scanned by hand, in linear time.
const (
	PatternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	PatternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	PatternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// scanner gives the end of the match at i. These patterns match everywhere.
type scanner func(text string, i int) int

func (s scanner) matches(text string, f func(int, int)) error {
	for i := 0; i < len(text); {
		end := s(text, i)
		f(i, end)
		i = end
	}
	return nil
}

// words matches \w+|[^\w\s]+.
type words struct{}

func (words) matches(text string, f func(int, int)) error {
	start, last := 0, isSpace
	for i, r := range text {
		c := classOf(r) & (isWord | isSpace)
		if c == last {
			continue
		}
		if last != isSpace {
			f(start, i)
		}
		start, last = i, c
	}
	if last != isSpace {
		f(start, len(text))
	}
	return nil
}

// Kinds of characters in the split patterns.
const (
	letter = iota
	number
	space
	other
)

var asciiKind = func() (k [128]uint8) {
	for r := range k {
		switch {
		case unicode.IsLetter(rune(r)):
			k[r] = letter
		case unicode.IsNumber(rune(r)):
			k[r] = number
		case unicode.IsSpace(rune(r)):
			k[r] = space
		default:
			k[r] = other
		}
	}
	return k
}()

// kind is the kind of the character at i and its length; length 0 at the end.
func kind(s string, i int) (uint8, int) {
	if i >= len(s) {
		return other, 0
	}
	if s[i] < utf8.RuneSelf {
		return asciiKind[s[i]], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	switch c := classOf(r); {
	case c&isLetter != 0:
		return letter, n
	case c&isNumeral != 0:
		return number, n
	case c&isSpace != 0:
		return space, n
	}
	return other, n
}

// run is the end of the run of one kind from i on.
func run(s string, i int, want uint8) int {
	for {
		c, n := kind(s, i)
		if n == 0 || c != want {
			return i
		}
		i += n
	}
}

func gpt2End(s string, i int) int {
	if n := contraction(s[i:], false); n > 0 {
		return i + n
	}
	j := i
	if s[i] == ' ' {
		j++
	}
	if c, n := kind(s, j); n > 0 && c != space {
		return run(s, j+n, c)
	}
	return spaces(s, i)
}

func llamaEnd(s string, i, digits int) int {
	if n := contraction(s[i:], true); n > 0 {
		return i + n
	}
	c, n := kind(s, i)
	switch {
	case c == letter:
		return run(s, i+n, letter)
	case c == number:
		for k := 1; k < digits; k++ {
			c, m := kind(s, i+n)
			if m == 0 || c != number {
				break
			}
			n += m
		}
		return i + n
	}
	if s[i] != '\r' && s[i] != '\n' {
		if next, m := kind(s, i+n); m > 0 && next == letter {
			return run(s, i+n+m, letter)
		}
	}
	j := i
	if s[i] == ' ' {
		j++
	}
	if c, m := kind(s, j); m > 0 && c == other {
		j = run(s, j+m, other)
		for j < len(s) && (s[j] == '\r' || s[j] == '\n') {
			j++
		}
		return j
	}
	for k := run(s, i, space); k > i; k-- {
		if s[k-1] == '\n' || s[k-1] == '\r' {
			return k
		}
	}
	return spaces(s, i)
}

// spaces is the match of \s+(?!\S)|\s+ at i: a run of white space, without its
// last character if something follows.
func spaces(s string, i int) int {
	end := run(s, i, space)
	if end == len(s) {
		return end
	}
	_, n := utf8.DecodeLastRuneInString(s[i:end])
	if end-n > i {
		return end - n
	}
	return end
}

// contraction is the length of 's 't 're 've 'm 'll 'd at the start of s.
func contraction(s string, anyCase bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	fold := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		if c := s[i]; !anyCase || c < 'A' || c > 'Z' {
			return c
		}
		return s[i] + 'a' - 'A'
	}
	switch a, b := fold(1), fold(2); {
	case a == 's', a == 't', a == 'm', a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	case anyCase && len(s) >= 3 && s[1:3] == "ſ": // folds to s
		return 3
	}
	return 0
}

package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// The byte-level alphabet of GPT-2: printable Latin-1 bytes stand for
// themselves, the other 68 for the characters from U+0100 on.
var (
	byteText = byteAlphabet()
	textByte = func() map[rune]byte {
		m := make(map[rune]byte, 256)
		for b, text := range byteText {
			r, _ := utf8.DecodeRuneInString(text)
			m[r] = byte(b)
		}
		return m
	}()
)

func byteAlphabet() (text [256]string) {
	next := rune(256)
	for b := range text {
		r := rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			r = next
			next++
		}
		text[b] = string(r)
	}
	return text
}

// bytesOf undoes the alphabet; false if a character is not of it.
func bytesOf(text string) ([]byte, bool) {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		b, ok := textByte[r]
		if !ok {
			return nil, false
		}
		out = append(out, b)
	}
	return out, true
}

// alphabetOf writes the bytes of a text in the alphabet.
func alphabetOf(text string) string {
	var out strings.Builder
	for i := range len(text) {
		out.WriteString(byteText[text[i]])
	}
	return out.String()
}

// lossy replaces each maximal invalid part by U+FFFD (Unicode 3.9, "substitution
// of maximal subparts").
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			out.Write(b[:n])
			b = b[n:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		b = b[brokenPrefix(b):]
	}
	return out.String()
}

// brokenPrefix is the length of the longest start of a character that b opens with.
func brokenPrefix(b []byte) int {
	low, high, need := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			low = 0xA0
		} else if c == 0xED {
			high = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			low = 0x90
		} else if c == 0xF4 {
			high = 0x8F
		}
	}
	n := 1
	for ; n <= need && n < len(b) && b[n] >= low && b[n] <= high; n++ {
		low, high = 0x80, 0xBF
	}
	return n
}

package tokenizer

import "unicode/utf8"

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

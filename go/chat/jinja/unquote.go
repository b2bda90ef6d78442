package jinja

import (
	"strconv"
	"strings"
)

// unquote reads the Python string literal at the start of s. It returns the
// text, the bytes read, and what is wrong with it.
func unquote(s string) (text string, n int, problem string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == s[0] {
			return b.String(), i + 1, ""
		}
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '\n': // a continued line
		case '\\', '\'', '"':
			b.WriteByte(c)
		case 'x', 'u', 'U':
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if i+digits >= len(s) {
				return "", 0, "the string ends inside an escape"
			}
			r, err := strconv.ParseUint(s[i+1:i+1+digits], 16, 32)
			if err != nil || r > 0x10ffff {
				return "", 0, "the string has a bad \\" + string(c) + " escape"
			}
			b.WriteRune(rune(r))
			i += digits
		case 'N':
			return "", 0, `\N{...} escapes are not supported; write the character itself`
		case '0', '1', '2', '3', '4', '5', '6', '7':
			r, end := 0, i
			for end < len(s) && end < i+3 && s[end] >= '0' && s[end] <= '7' {
				r = r*8 + int(s[end]-'0')
				end++
			}
			b.WriteRune(rune(r))
			i = end - 1
		default:
			if at := strings.IndexByte("ntrbfva", c); at >= 0 {
				b.WriteByte("\n\t\r\b\f\v\a"[at])
			} else {
				b.WriteByte('\\')
				b.WriteByte(c)
			}
		}
	}
	return "", 0, "the string has no end"
}

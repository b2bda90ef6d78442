package jinja

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokKind byte

const (
	tData tokKind = iota
	tVarB
	tVarE
	tBlkB
	tBlkE
	tName
	tStr
	tInt
	tFloat
	tOp
	tEOF
)

type token struct {
	k    tokKind
	s    string
	v    any
	line int
}

var (
	reName  = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}\p{M}_]*`)
	reFloat = regexp.MustCompile(`^\d+(_\d+)*(\.\d+(_\d+)*([eE][+-]?\d+(_\d+)*)?|[eE][+-]?\d+(_\d+)*)`)
	reInt   = regexp.MustCompile(`^(0[bB](_?[01])+|0[oO](_?[0-7])+|0[xX](_?[0-9a-fA-F])+|\d+(_?\d+)*)`)
	reOp    = regexp.MustCompile(`^(//|\*\*|==|!=|<=|>=|[-+*/%~|.,:;()\[\]{}<>=])`)
	reERaw  = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*(-?%\}|\+?%\})`)
	reRaw   = regexp.MustCompile(`^\{%[-+]?\s*raw\s*(-?)%\}`)
)

func isWS(c byte) bool { return c == ' ' || c >= 9 && c <= 13 }

func pySpace(r rune) bool {
	switch {
	case r >= 9 && r <= 13, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}

// lex implements the root state of Jinja's lexer with trim_blocks and
// lstrip_blocks on and keep_trailing_newline off.
func lex(src string) ([]token, error) {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	var out []token
	pos, line, lineStart := 0, 1, true
	data := func(s string) {
		if s != "" {
			out = append(out, token{k: tData, s: s, line: line})
		}
	}
	// endTag consumes the end of a block or comment: "%}" plus newline, or "-%}" plus all space
	skip := func(minus, plus bool, newline bool) {
		st := pos
		if minus {
			for pos < len(src) {
				r, n := utf8.DecodeRuneInString(src[pos:])
				if !pySpace(r) {
					break
				}
				pos += n
			}
		} else if newline && !plus && pos < len(src) && src[pos] == '\n' {
			pos++
		}
		line += strings.Count(src[st:pos], "\n")
		lineStart = pos > st && src[pos-1] == '\n'
	}
	for pos < len(src) {
		j := -1
		for i := pos; i+1 < len(src); i++ {
			if src[i] == '{' && (src[i+1] == '%' || src[i+1] == '{' || src[i+1] == '#') {
				j = i
				break
			}
		}
		if j < 0 {
			data(src[pos:])
			break
		}
		text, kind := src[pos:j], src[j+1]
		nl := strings.Count(text, "\n")
		sign := byte(0)
		if j+2 < len(src) && (src[j+2] == '-' || src[j+2] == '+') {
			sign = src[j+2]
		}
		if sign == '-' {
			text = strings.TrimRightFunc(text, pySpace)
		} else if sign != '+' && kind != '{' {
			l := strings.LastIndexByte(text, '\n') + 1
			if (l > 0 || lineStart) && strings.TrimFunc(text[l:], pySpace) == "" {
				text = text[:l]
			}
		}
		data(text)
		line += nl
		if kind == '%' {
			if m := reRaw.FindStringSubmatch(src[j:]); m != nil {
				pos = j + len(m[0])
				e := reERaw.FindStringSubmatchIndex(src[pos:])
				if e == nil {
					return nil, fmt.Errorf("line %d: missing endraw", line)
				}
				st := pos
				skip(m[1] == "-", false, true)
				body := src[pos:max(pos, st+e[0])]
				if src[st+e[2]:st+e[3]] == "-" {
					body = strings.TrimRightFunc(body, pySpace)
				} else if src[st+e[2]:st+e[3]] == "" {
					l := strings.LastIndexByte(body, '\n') + 1
					if l > 0 && strings.TrimFunc(body[l:], pySpace) == "" {
						body = body[:l]
					}
				}
				data(body)
				line += strings.Count(body, "\n")
				end := src[st+e[4] : st+e[5]]
				pos = st + e[1]
				skip(end[0] == '-', end[0] == '+', true)
				continue
			}
		}
		pos = j + 2
		if sign != 0 {
			pos++
		}
		if kind == '#' {
			e := strings.Index(src[pos:], "#}")
			if e < 0 {
				return nil, fmt.Errorf("line %d: missing end of comment", line)
			}
			c := byte(0)
			if e > 0 {
				c = src[pos+e-1]
			}
			line += strings.Count(src[pos:pos+e], "\n")
			pos += e + 2
			skip(c == '-', c == '+', true)
			continue
		}
		endT, b, e := "%}", tBlkB, tBlkE
		if kind == '{' {
			endT, b, e = "}}", tVarB, tVarE
		}
		out = append(out, token{k: b, line: line})
		var depth []byte
		for {
			for pos < len(src) && isWS(src[pos]) {
				if src[pos] == '\n' {
					line++
				}
				pos++
			}
			if pos >= len(src) {
				return nil, fmt.Errorf("line %d: unexpected end of template", line)
			}
			rest := src[pos:]
			if len(depth) == 0 {
				if strings.HasPrefix(rest, "-"+endT) || strings.HasPrefix(rest, "+%}") && endT == "%}" || strings.HasPrefix(rest, endT) {
					c := rest[0]
					out = append(out, token{k: e, line: line})
					pos += strings.Index(rest, endT) + 2
					skip(c == '-', c == '+', endT == "%}")
					break
				}
			}
			c := rest[0]
			if c == '\'' || c == '"' {
				s, n, err := lexString(rest)
				if err != nil {
					return nil, fmt.Errorf("line %d: %w", line, err)
				}
				out = append(out, token{k: tStr, s: s, line: line})
				line += strings.Count(rest[:n], "\n")
				pos += n
			} else if m := reFloat.FindString(rest); m != "" {
				f, _ := strconv.ParseFloat(strings.ReplaceAll(m, "_", ""), 64)
				out = append(out, token{k: tFloat, s: m, v: f, line: line})
				pos += len(m)
			} else if m := reInt.FindString(rest); m != "" {
				z, _ := new(big.Int).SetString(strings.ReplaceAll(m, "_", ""), 0)
				if z == nil {
					z, _ = new(big.Int).SetString(strings.ReplaceAll(m, "_", ""), 10)
				}
				out = append(out, token{k: tInt, s: m, v: norm(z), line: line})
				pos += len(m)
			} else if m := reName.FindString(rest); m != "" {
				out = append(out, token{k: tName, s: m, line: line})
				pos += len(m)
			} else if m := reOp.FindString(rest); m != "" {
				switch m {
				case "(", "[", "{":
					depth = append(depth, m[0])
				case ")", "]", "}":
					if len(depth) == 0 {
						return nil, fmt.Errorf("line %d: unexpected %q", line, m)
					}
					depth = depth[:len(depth)-1]
				}
				out = append(out, token{k: tOp, s: m, line: line})
				pos += len(m)
			} else {
				return nil, fmt.Errorf("line %d: unexpected char %q", line, c)
			}
		}
	}
	return append(out, token{k: tEOF, line: line}), nil
}

func lexString(s string) (string, int, error) {
	q := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		if c == q {
			return b.String(), i + 1, nil
		}
		if c != '\\' || i+1 >= len(s) {
			b.WriteByte(c)
			continue
		}
		i++
		hex := func(n int) {
			if i+n < len(s) {
				if v, err := strconv.ParseUint(s[i+1:i+1+n], 16, 32); err == nil {
					b.WriteRune(rune(v))
					i += n
				}
			}
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'v':
			b.WriteByte('\v')
		case 'a':
			b.WriteByte('\a')
		case '\\', '\'', '"':
			b.WriteByte(s[i])
		case '\n':
		case 'x':
			hex(2)
		case 'u':
			hex(4)
		case 'U':
			hex(8)
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v, k := 0, i
			for k < len(s) && k < i+3 && s[k] >= '0' && s[k] <= '7' {
				v = v*8 + int(s[k]-'0')
				k++
			}
			b.WriteRune(rune(v))
			i = k - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return "", 0, fmt.Errorf("unterminated string")
}

package tokenizer

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"github.com/graftlm/graft/go/failure"
)

// pattern calls f for each match, in order. A match may be empty, but not
// right after another.
type pattern interface {
	matches(text string, f func(start, end int)) error
}

// parsePattern reads {"String": …} or {"Regex": …}.
func parsePattern(o *object) pattern {
	var raw json.RawMessage
	o.need("pattern", &raw)
	if o.err != nil {
		return nil
	}
	var text, expr string
	in := open(o.path+".pattern", raw)
	isText, isExpr := in.get("String", &text), in.get("Regex", &expr)
	if isText == isExpr {
		in.fail("%s: want either String or Regex", in.path)
	}
	if err := in.close(); err != nil {
		o.fail("%w", err)
		return nil
	}
	if isText {
		return literal(text)
	}
	p, err := compile(expr)
	if err != nil {
		o.fail("%s: %w", o.path, err)
	}
	return p
}

func compile(text string) (pattern, error) {
	switch text {
	case PatternGPT2:
		return scanner(gpt2End), nil
	case PatternLlama3:
		return scanner(func(s string, i int) int { return llamaEnd(s, i, 3) }), nil
	case PatternQwen2:
		return scanner(func(s string, i int) int { return llamaEnd(s, i, 1) }), nil
	}
	translated, err := translate(text)
	if err != nil {
		return nil, err
	}
	re, err := regexp2.Compile(translated, regexp2.Multiline)
	if err != nil {
		return nil, failure.Data("pattern %q: %w", text, err)
	}
	re.MatchTimeout = matchTimeout
	return expression{re}, nil
}

// matchTimeout bounds the search for one match, and with matchRate that for all
// matches up to any place of a text, so that one that is slow from its beginning
// ends after about a second: patterns that backtrack without end are a way to attack.
const (
	matchTimeout = time.Second
	matchRate    = 20 * time.Microsecond // a byte, some twenty times the usual on a busy machine
)

// wordClass is \w of Oniguruma: Alphabetic, marks, digits, connectors; outside
// of a class also the numbers of Latin-1.
const wordClass = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉`

// translate turns an expression of Oniguruma's Ruby syntax into one of .NET
// and refuses what would silently mean something else there.
func translate(text string) (string, error) {
	refuse := func(what string) (string, error) {
		return "", failure.Data("pattern %q: %s is not supported", text, what)
	}
	var out strings.Builder
	inClass := false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			i++
			switch c := rest[1]; c {
			case 'w':
				out.WriteString(map[bool]string{true: wordClass, false: "[²³¹¼½¾" + wordClass + "]"}[inClass])
			case 'W':
				if inClass {
					return refuse(`\W in a class`)
				}
				out.WriteString("[^²³¹¼½¾" + wordClass + "]")
			case 'h', 'H', 'R', 'X', 'K', 'G', 'O', 'N', 'y', 'Y':
				return refuse(`\` + string(c))
			default:
				out.WriteString(rest[:2])
			}
			continue
		case inClass && rest[0] == '[':
			return refuse("a class in a class")
		case inClass && strings.HasPrefix(rest, "&&"):
			return refuse("&& in a class")
		case !inClass && rest[0] == '[':
			inClass = true
			if strings.HasPrefix(rest, "[]") || strings.HasPrefix(rest, "[^]") {
				return refuse("] at the start of a class")
			}
		case inClass && rest[0] == ']':
			inClass = false
		case strings.HasPrefix(rest, "(?m") || strings.HasPrefix(rest, "(?-m"):
			return refuse("option m")
		}
		out.WriteByte(rest[0])
	}
	return out.String(), nil
}

type expression struct{ re *regexp2.Regexp }

func (e expression) matches(text string, f func(int, int)) error {
	// regexp2 counts runes.
	at, byteAt := 0, 0
	advance := func(to int) int {
		for ; at < to; at++ {
			_, n := utf8.DecodeRuneInString(text[byteAt:])
			byteAt += n
		}
		return byteAt
	}
	begin := time.Now()
	last := -1
	m, err := e.re.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = e.re.FindNextMatch(m) {
		start := advance(m.Index)
		end := advance(m.Index + m.Length)
		if start < end || end != last {
			f(start, end)
		}
		if last = end; time.Since(begin) > matchTimeout+time.Duration(end)*matchRate {
			return failure.Data("pattern %q: takes too long on a text of %d bytes", e.re.String(), len(text))
		}
	}
	if err != nil { // whose text is the whole text
		return failure.Data("pattern %q: takes longer than %v for one match in a text of %d bytes", e.re.String(), matchTimeout, len(text))
	}
	return nil
}

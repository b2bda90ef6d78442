package jinja

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

var (
	nameForm   = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}\p{M}_]*`)
	floatForm  = regexp.MustCompile(`^\d+(_\d+)*(\.\d+(_\d+)*([eE][+-]?\d+(_\d+)*)?|[eE][+-]?\d+(_\d+)*)`)
	intForm    = regexp.MustCompile(`^(0[bB](_?[01])+|0[oO](_?[0-7])+|0[xX](_?[0-9a-fA-F])+|0(_?0)*|[1-9](_?\d)*)`)
	opForm     = regexp.MustCompile(`^(//|\*\*|==|!=|<=|>=|[-+*/%~|.,:;()\[\]{}<>=])`)
	rawForm    = regexp.MustCompile(`^\{%[-+]?\s*raw\s*(-?)%\}`)
	endRawForm = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*(-?%\}|\+?%\})`)
)

// maxDigits bounds an integer written in a template.
const maxDigits = 1000

// lexer splits a source into tokens, with jinja2's trim_blocks and
// lstrip_blocks on and keep_trailing_newline off.
type lexer struct {
	src       string
	pos       int
	lineStart bool // whether pos follows a newline or begins the source
	out       []token
}

func lex(src string) []token {
	l := &lexer{src: src, lineStart: true}
	for l.pos < len(src) {
		l.next()
	}
	return append(l.out, token{kind: tokenEOF, at: len(src)})
}

func (l *lexer) emit(kind tokenKind, text string, at int) {
	l.out = append(l.out, token{kind: kind, text: text, at: at})
}

func (l *lexer) text(s string) {
	if s != "" {
		l.emit(tokenText, s, l.pos)
	}
}

// faultAt carries the offset of a mistake in the source.
type faultAt struct {
	fault
	at int
}

func failAt(at int, text string) { panic(faultAt{fault{text}, at}) }

// next reads text up to a tag, and the tag.
func (l *lexer) next() {
	open := findOpening(l.src[l.pos:])
	if open < 0 {
		l.text(l.src[l.pos:])
		l.pos = len(l.src)
		return
	}
	text, kind, sign := l.src[l.pos:l.pos+open], l.src[l.pos+open+1], byte(0)
	open += l.pos
	if open+2 < len(l.src) && (l.src[open+2] == '-' || l.src[open+2] == '+') {
		sign = l.src[open+2]
	}
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && kind != '{':
		text = trimIndent(text, l.lineStart)
	}
	l.text(text)
	l.pos = open
	if kind == '%' && l.raw() {
		return
	}
	l.pos = open + 2
	if sign != 0 {
		l.pos++
	}
	switch kind {
	case '#':
		l.comment(open)
	case '{':
		l.emit(tokenPrint, "{{", open)
		l.expression("}}", tokenPrintEnd)
	default:
		l.emit(tokenBlock, "{%", open)
		l.expression("%}", tokenBlockEnd)
	}
}

func findOpening(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '%' || s[i+1] == '{' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

// trimIndent drops the white space between the start of a line and a tag.
func trimIndent(text string, lineStart bool) string {
	begin := strings.LastIndexByte(text, '\n') + 1
	if (begin > 0 || lineStart) && strings.TrimFunc(text[begin:], isSpace) == "" {
		return text[:begin]
	}
	return text
}

// closed moves past the end of a tag: all white space after "-", else the
// newline after a block or comment unless "+" keeps it.
func (l *lexer) closed(sign byte, newline bool) {
	begin := l.pos
	if sign == '-' {
		l.pos = len(l.src) - len(strings.TrimLeftFunc(l.src[l.pos:], isSpace))
	} else if newline && sign != '+' && l.pos < len(l.src) && l.src[l.pos] == '\n' {
		l.pos++
	}
	l.lineStart = l.pos > begin && l.src[l.pos-1] == '\n'
}

func (l *lexer) comment(open int) {
	end := strings.Index(l.src[l.pos:], "#}")
	if end < 0 {
		failAt(open, "the comment has no end '#}'")
	}
	sign := byte(0)
	if end > 0 {
		sign = l.src[l.pos+end-1]
	}
	l.pos += end + 2
	l.closed(sign, true)
}

// raw reads a raw block, if one begins here.
func (l *lexer) raw() bool {
	open := rawForm.FindStringSubmatch(l.src[l.pos:])
	if open == nil {
		return false
	}
	begin := l.pos + len(open[0])
	end := endRawForm.FindStringSubmatchIndex(l.src[begin:])
	if end == nil {
		failAt(l.pos, "the raw block has no {% endraw %}")
	}
	sign := byte(0)
	if open[1] == "-" {
		sign = '-'
	}
	l.pos = begin
	l.closed(sign, true)
	body := l.src[min(l.pos, begin+end[0]) : begin+end[0]]
	switch l.src[begin+end[2] : begin+end[3]] {
	case "-":
		body = strings.TrimRightFunc(body, isSpace)
	case "":
		body = trimIndent(body, false)
	}
	l.text(body)
	l.pos = begin + end[1]
	l.closed(l.src[begin+end[4]], true)
	return true
}

// expression reads the words of a tag up to its closing mark.
func (l *lexer) expression(closing string, kind tokenKind) {
	open := l.pos
	depth := 0
	for {
		for l.pos < len(l.src) && (l.src[l.pos] == ' ' || l.src[l.pos] >= 9 && l.src[l.pos] <= 13) {
			l.pos++
		}
		if l.pos >= len(l.src) {
			failAt(open, "the tag has no end '"+closing+"'")
		}
		rest := l.src[l.pos:]
		if depth == 0 {
			signed := rest[0] == '-' || rest[0] == '+' && closing == "%}"
			if strings.HasPrefix(rest, closing) || signed && strings.HasPrefix(rest[1:], closing) {
				l.emit(kind, closing, l.pos)
				l.pos += strings.Index(rest, closing) + 2
				l.closed(rest[0], closing == "%}")
				return
			}
		}
		depth += l.word(rest)
		if depth < 0 {
			failAt(l.pos-1, "there is no opening bracket for '"+l.src[l.pos-1:l.pos]+"'")
		}
	}
}

// matched tries an expression where the first character allows it.
func matched(form *regexp.Regexp, rest string, can bool) string {
	if !can {
		return ""
	}
	return form.FindString(rest)
}

// word reads one word and tells how it changes the depth of brackets.
func (l *lexer) word(rest string) int {
	if rest[0] == '\'' || rest[0] == '"' {
		text, n, problem := unquote(rest)
		if problem != "" {
			failAt(l.pos, problem)
		}
		l.emit(tokenString, text, l.pos)
		l.pos += n
		return 0
	}
	digit, operator := rest[0] >= '0' && rest[0] <= '9', strings.IndexByte("-+*/%~|.,:;()[]{}<>=!", rest[0]) >= 0
	if w := matched(floatForm, rest, digit); w != "" {
		f, _ := strconv.ParseFloat(strings.ReplaceAll(w, "_", ""), 64) // inf when out of range, as in Python
		l.number(w, f)
		return 0
	}
	if w := matched(intForm, rest, digit); w != "" {
		if len(w) > maxDigits {
			failAt(l.pos, "the number is too long")
		}
		digits := strings.ReplaceAll(w, "_", "")
		z, ok := new(big.Int).SetString(digits, 0)
		if !ok {
			failAt(l.pos, "'"+w+"' is not a number")
		}
		l.number(w, integer(z))
		return 0
	}
	if w := matched(nameForm, rest, !digit && !operator); w != "" {
		l.emit(tokenName, w, l.pos)
		l.pos += len(w)
		return 0
	}
	w := matched(opForm, rest, operator)
	if w == "" {
		failAt(l.pos, "unexpected character "+strconv.QuoteRune([]rune(rest[:min(len(rest), 4)])[0]))
	}
	l.emit(tokenOp, w, l.pos)
	l.pos += len(w)
	switch w {
	case "(", "[", "{":
		return 1
	case ")", "]", "}":
		return -1
	}
	return 0
}

func (l *lexer) number(word string, value any) {
	l.out = append(l.out, token{kind: tokenNumber, text: word, value: value, at: l.pos})
	l.pos += len(word)
}

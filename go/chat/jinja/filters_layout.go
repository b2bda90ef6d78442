package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

var layoutFilters = map[string]filter{
	"center": {"width?", copies, func(s *state, v any, a arguments) any {
		return s.pad(s.str(v), a.integer("width", 80), true, true, " ")
	}},
	"indent":   {"width? first? blank?", copies, indent},
	"truncate": {"length? killwords? end? leeway?", copies, truncate},
	"wordwrap": {"width? break_long_words? wrapstring? break_on_hyphens?", copies, wordwrap},
}

func indent(s *state, v any, a arguments) any {
	by := ""
	switch x := a.get("width", int64(4)).(type) {
	case string:
		by = x
	default:
		by = s.pad("", a.integer("width", 4), true, false, " ")
	}
	w := writer{meter: &s.meter}
	for i, item := range s.lines(s.str(v) + "\n") {
		line := item.(string)
		if i > 0 {
			w.put("\n")
		}
		if i == 0 && a.truth("first") || i > 0 && (line != "" || a.truth("blank")) {
			w.put(by)
		}
		w.put(line)
	}
	return w.String()
}

// truncate cuts a text that is longer than its length and some leeway.
func truncate(s *state, v any, a arguments) any {
	text, size, end := s.str(v), a.integer("length", 255), a.text("end", "...")
	leeway := int64(5)
	if a.get("leeway", nil) != nil {
		leeway = a.integer("leeway", 5)
	}
	if size < length(end) || leeway < 0 {
		fail("'truncate' needs a length of at least the %d characters of its end, and no negative leeway", length(end))
	}
	if n := length(text); n <= size || n-size <= leeway {
		return text
	}
	at := 0
	for range size - length(end) {
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	text = text[:at]
	if space := strings.LastIndexByte(text, ' '); space >= 0 && !a.truth("killwords") {
		text = text[:space]
	}
	s.grow(len(text) + len(end))
	return text + end
}

// wordwrap breaks lines at white space, after hyphens within words, and within
// words longer than a line, as Python's textwrap; dashes ("--") do not end a
// word here.
func wordwrap(s *state, v any, a arguments) any {
	width, between := a.integer("width", 79), "\n"
	if a.get("wrapstring", nil) != nil {
		between = a.text("wrapstring", "\n")
	}
	if width < 1 {
		fail("'wordwrap' needs a width of at least 1")
	}
	w := wrapper{writer: writer{meter: &s.meter}, width: int(min(width, 1<<30)), between: between,
		long: truth(a.get("break_long_words", true)), hyphens: truth(a.get("break_on_hyphens", true))}
	for i, line := range s.lines(s.str(v)) {
		if i > 0 {
			w.put(between)
		}
		w.line(line.(string))
	}
	return w.String()
}

type wrapper struct {
	writer
	width         int
	between       string
	long, hyphens bool
}

// line wraps one line. White space where a line ends or begins is dropped, but
// at the beginning of the text.
func (w *wrapper) line(text string) {
	chunk, lines := "", 0
	next := func() bool {
		if chunk == "" && text != "" {
			w.meter.step()
			chunk = w.word(text)
			text = text[len(chunk):]
		}
		return chunk != ""
	}
	for next() {
		line, space, used := "", "", 0
		if lines > 0 && isSpace(firstRune(chunk)) {
			chunk = ""
		}
		for next() && used+int(length(chunk)) <= w.width {
			used += int(length(chunk))
			if isSpace(firstRune(chunk)) {
				line, space = line+space, chunk
			} else {
				line, space = line+space+chunk, ""
			}
			chunk = ""
		}
		if int(length(chunk)) > w.width && (w.long || used == 0) {
			head := w.broken(chunk, w.width-used)
			chunk = chunk[len(head):]
			if line += space; !isSpace(firstRune(head)) {
				line += head
			}
		}
		if line == "" {
			continue
		}
		if lines > 0 {
			w.put(w.between)
		}
		w.put(line)
		lines++
	}
}

// broken is what of a chunk longer than a line goes into the room that is left.
func (w *wrapper) broken(chunk string, room int) string {
	w.meter.scan(len(chunk))
	if !w.long {
		return chunk
	}
	head := firstRunes(chunk, room)
	if at := strings.LastIndexByte(head, '-'); w.hyphens && at > 0 && strings.Trim(head[:at], "-") != "" {
		return head[:at+1]
	}
	return head
}

// word is the next run of white space, or a word up to where it may break.
func (w *wrapper) word(text string) string {
	white := isSpace(firstRune(text))
	end := strings.IndexFunc(text, func(r rune) bool { return isSpace(r) != white })
	if end < 0 {
		end = len(text)
	}
	if white || !w.hyphens {
		return text[:end]
	}
	runes := []rune(text[:end])
	for i := 2; i+2 < len(runes); i++ {
		if runes[i] == '-' && unicode.IsLetter(runes[i-1]) && unicode.IsLetter(runes[i-2]) &&
			unicode.IsLetter(runes[i+1]) && unicode.IsLetter(runes[i+2]) {
			return string(runes[:i+1])
		}
	}
	return text[:end]
}

func firstRune(text string) rune {
	r, _ := utf8.DecodeRuneInString(text)
	return r
}

func firstRunes(text string, n int) string {
	at := 0
	for range n {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return text[:at]
}

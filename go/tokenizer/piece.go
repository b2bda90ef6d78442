package tokenizer

import "unicode/utf8"

// piece is a part of the normalized text that knows where it came from.
// Without align its bytes are the bytes of the input from base on; with align,
// every byte carries the input span of the character it stems from, and base is
// where the part of the input begins that the piece was cut from.
type piece struct {
	text  string
	align []Span
	base  int
	token int32 // id of an added token, or -1
}

// slice cuts the piece, and the input with it.
func (p piece) slice(start, end int) piece {
	q := piece{text: p.text[start:end], base: p.base + start, token: p.token}
	if p.align != nil {
		q.align = p.align[start:end]
		if start < end {
			q.base = p.align[start].Start
		}
	}
	return q
}

// span is the input range of bytes [start, end), widened to whole characters.
// As upstream, an empty range is counted from base and one beyond the text is
// left as it is.
func (p piece) span(start, end int) Span {
	if start >= end {
		return Span{p.base + start, p.base + end}
	}
	if end > len(p.text) {
		return Span{start, end}
	}
	if p.align != nil {
		return Span{p.align[start].Start, p.align[end-1].End}
	}
	for start > 0 && !utf8.RuneStart(p.text[start]) {
		start--
	}
	for end < len(p.text) && !utf8.RuneStart(p.text[end]) {
		end++
	}
	return Span{p.base + start, p.base + end}
}

// edit builds a new text from an old piece.
type edit struct {
	from  piece
	text  []byte
	align []Span
}

func newEdit(p piece) *edit {
	return &edit{p, make([]byte, 0, len(p.text)+8), make([]Span, 0, len(p.text)+8)}
}

// keep copies bytes [start, end) of the old text.
func (e *edit) keep(start, end int) {
	e.text = append(e.text, e.from.text[start:end]...)
	if e.from.align != nil {
		e.align = append(e.align, e.from.align[start:end]...)
		return
	}
	for i := start; i < end; {
		_, n := utf8.DecodeRuneInString(e.from.text[i:])
		for range n {
			e.align = append(e.align, Span{e.from.base + i, e.from.base + i + n})
		}
		i += n
	}
}

// put adds text that stands for the old character with byte number at; -1 is
// the place before the first.
func (e *edit) put(text string, at int) {
	span := Span{e.from.base, e.from.base}
	if at >= 0 {
		span = e.from.span(at, at+1)
	}
	e.text = append(e.text, text...)
	for range len(text) {
		e.align = append(e.align, span)
	}
}

func (e *edit) piece() piece {
	return piece{text: string(e.text), align: e.align, base: e.from.base, token: e.from.token}
}

// prepend puts text before the first character, of whose origin it becomes part.
func (p piece) prepend(text string) piece {
	if p.text == "" || text == "" {
		return p
	}
	e := newEdit(p)
	e.put(text, 0)
	e.keep(0, len(p.text))
	return e.piece()
}

// each rewrites characters one by one; f says false for those that stay.
func (p piece) each(f func(r rune) (string, bool)) piece {
	var e *edit
	done := 0
	for i, r := range p.text {
		text, ok := f(r)
		if !ok {
			continue
		}
		if e == nil {
			e = newEdit(p)
		}
		e.keep(done, i)
		e.put(text, i)
		done = i + utf8.RuneLen(r)
	}
	if e == nil {
		return p
	}
	e.keep(done, len(p.text))
	return e.piece()
}

// change is a character of a new text. With more 0 it replaces the next old
// one, with a negative number also the -more after that, with a positive
// number it is inserted and stems from the character before.
type change struct {
	r    rune
	more int
}

// transform replaces the text by changes of it.
func (p piece) transform(changes []change) piece {
	e := newEdit(p)
	at := 0
	for _, c := range changes {
		if c.more > 0 {
			e.put(string(c.r), at-1)
			continue
		}
		e.put(string(c.r), min(at, len(p.text)-1))
		for range 1 - c.more {
			_, n := utf8.DecodeRuneInString(p.text[at:])
			at += n
		}
	}
	return e.piece()
}

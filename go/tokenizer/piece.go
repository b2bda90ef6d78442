package tokenizer

import "unicode/utf8"

// piece is a part of the normalized text that knows where it came from.
// Without align its bytes are the bytes of the input from base on; with align,
// every byte carries the input span of the character it stems from.
type piece struct {
	text  string
	align []Span
	base  int
	token int32 // id of an added token, or -1
}

func (p piece) slice(start, end int) piece {
	q := piece{text: p.text[start:end], base: p.base + start, token: p.token}
	if p.align != nil {
		q.align = p.align[start:end]
	}
	return q
}

// span is the input range of bytes [start, end), widened to whole characters.
func (p piece) span(start, end int) Span {
	if start >= end {
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

// put adds text that stands for the old character with byte number at.
func (e *edit) put(text string, at int) {
	span := e.from.span(at, at+1)
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
	if p.text == "" {
		return p
	}
	e := newEdit(p)
	e.put(text, 0)
	e.keep(0, len(p.text))
	return e.piece()
}

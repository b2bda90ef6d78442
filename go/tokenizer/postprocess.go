package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// postProcessor adds special tokens around one or two encodings.
type postProcessor interface {
	process(in []Encoding, addSpecial bool) []Encoding
}

// trimOffsets makes spans leave out the white space that byte-level tokens
// begin or end with. It acts while spans are made, before special tokens.
type trimOffsets struct{ prefixSpace bool }

func (trimOffsets) process(in []Encoding, _ bool) []Encoding { return in }

func (t *Tokenizer) trimming() (on, prefixSpace bool) {
	for _, p := range t.post {
		if trim, ok := p.(trimOffsets); ok {
			return true, trim.prefixSpace
		}
	}
	return false, false
}

// trimSpaces works in characters of the input, as upstream does.
func (t *Tokenizer) trimSpaces(e *Encoding, from int, p piece, input string, prefixSpace bool) {
	isSpace := func(r rune) bool { return r == 'Ġ' || unicode.IsSpace(r) }
	for i := from; i < len(e.IDs); i++ {
		text := p.text
		if p.token < 0 {
			text = t.model.tokens[e.IDs[i]]
		}
		lead := utf8.RuneCountInString(text[:len(text)-len(strings.TrimLeftFunc(text, isSpace))])
		tail := utf8.RuneCountInString(text[len(strings.TrimRightFunc(text, isSpace)):])
		o := &e.Offsets[i]
		if lead == 1 && prefixSpace && (i == 0 || o.Start == 0) {
			lead = 0
		}
		for ; lead > 0 && o.Start < o.End; lead-- {
			_, n := utf8.DecodeRuneInString(input[o.Start:])
			o.Start += n
		}
		end := o.End
		for ; tail > 0 && end > 0; tail-- {
			_, n := utf8.DecodeLastRuneInString(input[:end])
			end -= n
		}
		if tail == 0 {
			o.End = max(end, o.Start)
		}
	}
}

// template is one place of a TemplateProcessing: a sequence or special tokens.
type template struct {
	sequence int // 0 or 1, or -1 for special tokens
	ids      []int32
	typeID   int32
}

type templates struct{ single, pair []template }

func (t templates) process(in []Encoding, addSpecial bool) []Encoding {
	places := t.single
	if len(in) == 2 {
		places = t.pair
	}
	var out []Encoding
	for _, p := range places {
		var e Encoding
		switch {
		case p.sequence >= 0:
			e.IDs, e.Offsets = in[p.sequence].IDs, in[p.sequence].Offsets
		case addSpecial:
			e.IDs, e.Offsets = p.ids, make([]Span, len(p.ids))
		default:
			continue
		}
		e.TypeIDs = make([]int32, len(e.IDs))
		for i := range e.TypeIDs {
			e.TypeIDs[i] = p.typeID
		}
		out = append(out, e)
	}
	return out
}

// process applies the post-processors in order and joins the result.
func (t *Tokenizer) process(in []Encoding, addSpecial bool) Encoding {
	for _, p := range t.post {
		in = p.process(in, addSpecial)
	}
	var out Encoding
	if len(in) == 1 {
		out = in[0]
		return Encoding{append([]int32(nil), out.IDs...), out.Offsets, out.TypeIDs}
	}
	for _, e := range in {
		out.IDs = append(out.IDs, e.IDs...)
		out.Offsets = append(out.Offsets, e.Offsets...)
		out.TypeIDs = append(out.TypeIDs, e.TypeIDs...)
	}
	return out
}

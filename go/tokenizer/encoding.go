package tokenizer

import (
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// Span is a half-open range of the input text: of bytes, or of characters
// after Encoding.Characters.
type Span struct{ Start, End int }

// Encoding is one encoded text (or pair): lists of equal length. Tokens added
// by the post-processor or as padding have an empty span at 0. In a pair, the
// spans of the second text refer to that text.
type Encoding struct {
	IDs     []int32
	Tokens  []string // as the vocabulary spells them; for unknown text of a Unigram model the text
	Offsets []Span
	TypeIDs []int32

	PadLeft, PadRight int        // how many tokens at the ends are padding
	Overflow          []Encoding // what truncation cut off, in windows

	text string // what the spans are ranges of, until post-processing is done
}

func newEncoding(size int) Encoding {
	return Encoding{
		IDs:     make([]int32, 0, size),
		Tokens:  make([]string, 0, size),
		Offsets: make([]Span, 0, size),
	}
}

func (e *Encoding) add(id int32, token string, span Span) {
	e.IDs = append(e.IDs, id)
	e.Tokens = append(e.Tokens, token)
	e.Offsets = append(e.Offsets, span)
}

// Len is the number of tokens.
func (e *Encoding) Len() int { return len(e.IDs) }

// window is the part [start, end), sharing memory.
func (e Encoding) window(start, end int) Encoding {
	return Encoding{
		IDs: e.IDs[start:end:end], Tokens: e.Tokens[start:end:end],
		Offsets: e.Offsets[start:end:end], TypeIDs: e.TypeIDs[start:end:end], text: e.text,
	}
}

func (e *Encoding) setType(id int32) {
	e.TypeIDs = make([]int32, len(e.IDs))
	if id != 0 {
		for i := range e.TypeIDs {
			e.TypeIDs[i] = id
		}
	}
}

// join is e followed by f, without their overflow.
func (e Encoding) join(f Encoding) Encoding {
	return Encoding{
		IDs: append(e.IDs[:len(e.IDs):len(e.IDs)], f.IDs...), Tokens: append(e.Tokens[:len(e.Tokens):len(e.Tokens)], f.Tokens...),
		Offsets: append(e.Offsets[:len(e.Offsets):len(e.Offsets)], f.Offsets...),
		TypeIDs: append(e.TypeIDs[:len(e.TypeIDs):len(e.TypeIDs)], f.TypeIDs...),
		text:    max(e.text, f.text), // special tokens have none
	}
}

// joinAll joins encodings; each window of overflow is joined with what stands
// around it.
func joinAll(parts []Encoding) (Encoding, error) {
	if len(parts) == 0 {
		return newEncoding(0), nil
	}
	out := parts[0]
	for _, p := range parts[1:] {
		if windows := (len(out.Overflow)+1)*(len(p.Overflow)+1) - 1; windows*(out.Len()+p.Len()) > maxOverflow {
			return out, failure.Data("truncation: the two texts make %d windows together, which is too much", windows)
		}
		var over []Encoding
		for _, o := range out.Overflow {
			over = append(over, o.join(p))
			for _, q := range p.Overflow {
				over = append(over, o.join(q))
			}
		}
		for _, q := range p.Overflow {
			over = append(over, out.join(q))
		}
		out = out.join(p)
		out.Overflow = over
	}
	return out, nil
}

// characters turns spans of bytes into spans of characters. A position that
// is not at a character, which only a broken tokenizer gives, stays.
func characters(text string, spans []Span) {
	at := make([]int32, len(text)+1)
	n := int32(0)
	for i := range len(text) {
		if utf8.RuneStart(text[i]) {
			n++
		}
		at[i] = n - 1
	}
	at[len(text)] = n
	for i, s := range spans {
		if s.Start < len(text) && s.End <= len(text) {
			spans[i] = Span{int(at[s.Start]), int(at[s.End])}
		}
	}
}

package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// postProcessor adds special tokens around one or two encodings. A Sequence
// hands on the parts, which are joined at the end.
type postProcessor interface {
	process(parts []Encoding, addSpecial, characters bool) ([]Encoding, error)
	// added is how many special tokens one text or a pair gets.
	added(pair bool) int
}

type postProcessors []postProcessor

func (s postProcessors) process(parts []Encoding, addSpecial, characters bool) ([]Encoding, error) {
	for _, p := range s {
		var err error
		if parts, err = p.process(parts, addSpecial, characters); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func (s postProcessors) added(pair bool) int {
	n := 0
	for _, p := range s {
		n += p.added(pair)
	}
	return n
}

func parsePost(kind string, o *object, depth int) postProcessor {
	switch kind {
	case "Sequence":
		return postProcessors(list(o, "processors", depth, parsePost))
	case "ByteLevel":
		prefixSpace, trim, _ := parseByteLevel(o)
		return trimOffsets{trim, prefixSpace}
	case "TemplateProcessing":
		return parseTemplates(o)
	case "BertProcessing":
		return parseBert(o)
	case "RobertaProcessing":
		r := roberta{bert: parseBert(o)}
		o.need("trim_offsets", &r.trim.on)
		o.need("add_prefix_space", &r.trim.prefixSpace)
		return r
	}
	o.fail("%s: type %q is not supported", o.path, kind)
	return nil
}

// trimOffsets makes spans leave out the white space that byte-level tokens
// begin or end with.
type trimOffsets struct{ on, prefixSpace bool }

func (trimOffsets) added(bool) int { return 0 }

func (t trimOffsets) process(parts []Encoding, _, characters bool) ([]Encoding, error) {
	if t.on {
		for i := range parts {
			t.trim(&parts[i], characters)
			for k := range parts[i].Overflow {
				t.trim(&parts[i].Overflow[k], characters)
			}
		}
	}
	return parts, nil
}

func trimmable(r rune) bool { return r == 'Ġ' || unicode.IsSpace(r) }

func (t trimOffsets) trim(e *Encoding, characters bool) {
	owned := false
	for i, token := range e.Tokens {
		if token == "" {
			continue
		}
		first, _ := utf8.DecodeRuneInString(token)
		final, _ := utf8.DecodeLastRuneInString(token)
		if !trimmable(first) && !trimmable(final) {
			continue
		}
		if !owned { // windows of truncation share their spans
			e.Offsets, owned = append([]Span(nil), e.Offsets...), true
		}
		lead := utf8.RuneCountInString(token[:len(token)-len(strings.TrimLeftFunc(token, trimmable))])
		tail := utf8.RuneCountInString(token[len(strings.TrimRightFunc(token, trimmable)):])
		o := &e.Offsets[i]
		if lead == 1 && t.prefixSpace && (i == 0 || o.Start == 0) {
			lead = 0
		}
		if characters {
			o.Start = min(o.Start+lead, o.End)
			if o.End >= tail {
				o.End = max(o.End-tail, o.Start)
			}
			continue
		}
		trimBytes(e.text, o, lead, tail)
	}
}

// trimBytes moves the ends of a span inward by characters.
func trimBytes(text string, o *Span, lead, tail int) {
	for ; lead > 0 && o.Start < o.End && o.Start < len(text); lead-- {
		_, n := utf8.DecodeRuneInString(text[o.Start:])
		o.Start += n
	}
	end := min(o.End, len(text))
	for ; tail > 0 && end > 0; tail-- {
		_, n := utf8.DecodeLastRuneInString(text[:end])
		end -= n
	}
	if tail == 0 {
		o.End = max(end, o.Start)
	}
}

// special is an encoding of special tokens.
func special(ids []int32, tokens []string, typeID int32) Encoding {
	e := Encoding{IDs: ids, Tokens: tokens, Offsets: make([]Span, len(ids))}
	e.setType(typeID)
	return e
}

// bert puts [CLS] before the first text and [SEP] after each.
type bert struct{ cls, sep Encoding }

func parseBert(o *object) bert {
	token := func(key string) Encoding {
		var pair []json.RawMessage
		var text string
		var id int32
		o.need(key, &pair)
		if o.err == nil && (len(pair) != 2 || json.Unmarshal(pair[0], &text) != nil || json.Unmarshal(pair[1], &id) != nil || id < 0) {
			o.fail("%s.%s: want a token and its id", o.path, key)
		}
		return special([]int32{id}, []string{text}, 0)
	}
	return bert{token("cls"), token("sep")}
}

func (b bert) added(pair bool) int {
	if pair {
		return 3
	}
	return 2
}

func (b bert) process(parts []Encoding, addSpecial, _ bool) ([]Encoding, error) {
	for i := range parts {
		switch {
		case !addSpecial:
		case i == 0:
			parts[i] = parts[i].wrap(b.cls, b.sep)
		default:
			parts[i] = parts[i].wrap(Encoding{}, special(b.sep.IDs, b.sep.Tokens, 1))
		}
	}
	return parts, nil
}

// wrap puts special tokens around an encoding and around its overflow.
func (e Encoding) wrap(before, after Encoding) Encoding {
	out := before.join(e).join(after)
	for _, o := range e.Overflow {
		out.Overflow = append(out.Overflow, before.join(o).join(after))
	}
	return out
}

// roberta puts <s> before and </s> after a text, and </s> on both sides of a
// second one; all types are 0.
type roberta struct {
	bert
	trim trimOffsets
}

func (r roberta) added(pair bool) int {
	if pair {
		return 4
	}
	return 2
}

func (r roberta) process(parts []Encoding, addSpecial, characters bool) ([]Encoding, error) {
	parts, err := r.trim.process(parts, addSpecial, characters)
	for i := range parts {
		parts[i].setType(0)
		if !addSpecial {
			continue
		}
		for k := range parts[i].Overflow {
			parts[i].Overflow[k].setType(0)
		}
		before := r.cls
		if i > 0 {
			before = r.sep
		}
		parts[i] = parts[i].wrap(before, r.sep)
	}
	return parts, err
}

// process truncates, applies the post-processor, joins and pads.
func (t *Tokenizer) process(parts []Encoding, o Options) (Encoding, error) {
	if o.Truncation != nil {
		limit := *o.Truncation
		if o.AddSpecial && t.post != nil {
			limit.MaxLength -= t.post.added(len(parts) == 2)
		}
		if limit.MaxLength < 0 {
			return Encoding{}, failure.Data("truncation.max_length: %d leaves no room for the special tokens", o.Truncation.MaxLength)
		}
		if err := limit.truncate(parts); err != nil {
			return Encoding{}, err
		}
	}
	if t.post != nil {
		for i := range parts {
			parts[i].setType(int32(i))
		}
		var err error
		if parts, err = t.post.process(parts, o.AddSpecial, o.Characters); err != nil {
			return Encoding{}, err
		}
	}
	e, err := joinAll(parts)
	if err != nil {
		return e, err
	}
	if o.Padding != nil {
		if err := o.Padding.pad(&e); err != nil {
			return e, err
		}
	}
	e.text = ""
	return e, nil
}

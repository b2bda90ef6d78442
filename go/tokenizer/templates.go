package tokenizer

import "github.com/graftlm/graft/go/failure"

// templates is TemplateProcessing: the order of texts and special tokens.
type templates struct{ single, pair []template }

// template is one place of a template: a text or special tokens.
type template struct {
	sequence int // 0 or 1, or -1 for special tokens
	special  Encoding
	typeID   int32
}

func (t templates) places(pair bool) []template {
	if pair {
		return t.pair
	}
	return t.single
}

func (t templates) added(pair bool) int {
	n := 0
	for _, p := range t.places(pair) {
		n += p.special.Len()
	}
	return n
}

func (t templates) process(parts []Encoding, addSpecial, _ bool) ([]Encoding, error) {
	if len(parts) > 2 {
		return nil, failure.Data("post_processor: a TemplateProcessing after another")
	}
	var out []Encoding
	for _, p := range t.places(len(parts) == 2) {
		switch {
		case p.sequence >= 0:
			e := parts[p.sequence]
			e.setType(p.typeID)
			out = append(out, e)
		case addSpecial:
			out = append(out, Encoding{}.join(p.special))
		}
	}
	return out, nil
}

type templatePlace struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

func parseTemplates(o *object) templates {
	var single, pair []map[string]templatePlace
	var tokens map[string]struct {
		ID     string   `json:"id"`
		IDs    []int32  `json:"ids"`
		Tokens []string `json:"tokens"`
	}
	o.need("single", &single)
	o.need("pair", &pair)
	o.need("special_tokens", &tokens)
	resolve := func(key string, places []map[string]templatePlace, sequences int) []template {
		var out []template
		copies, added := 0, 0
		for _, place := range places {
			if _, ok := place["Sequence"]; ok {
				copies++
			}
			seq, isSeq := place["Sequence"]
			tok, isTok := place["SpecialToken"]
			s, known := tokens[tok.ID]
			switch {
			case isSeq && len(place) == 1 && seq.ID == "A":
				out = append(out, template{sequence: 0, typeID: seq.TypeID})
			case isSeq && len(place) == 1 && seq.ID == "B" && sequences == 2:
				out = append(out, template{sequence: 1, typeID: seq.TypeID})
			case isTok && len(place) == 1 && known && len(s.IDs) == len(s.Tokens):
				if added += len(s.IDs); added > maxSpecial {
					o.fail("%s.%s: more than %d special tokens", o.path, key, maxSpecial)
					return nil
				}
				out = append(out, template{-1, special(s.IDs, s.Tokens, tok.TypeID), tok.TypeID})
			default:
				o.fail("%s.%s: %v is neither a sequence nor one of special_tokens", o.path, key, place)
			}
		}
		if copies > maxCopies {
			o.fail("%s.%s: the texts stand in it %d times; at most %d are read", o.path, key, copies, maxCopies)
		}
		return out
	}
	return templates{resolve("single", single, 1), resolve("pair", pair, 2)}
}

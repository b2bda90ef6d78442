package tokenizer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// addedToken is an entry of "added_tokens".
type addedToken struct {
	Content    string
	SingleWord bool
	LStrip     bool
	RStrip     bool
	Normalized bool
	Special    bool
}

// addedVocabulary finds added tokens in text before the model sees it: first
// those that are matched in the input, then those matched after normalization.
type addedVocabulary struct {
	ids        map[string]int32
	tokens     map[int32]addedToken
	normal     map[int32]string // spelling after normalization, where it differs
	special    map[string]bool
	input      *matcher
	normalized *matcher
}

func (v *addedVocabulary) spelling(id int32) (string, bool) {
	if text, ok := v.normal[id]; ok {
		return text, true
	}
	a, ok := v.tokens[id]
	return a.Content, ok
}

// build makes the matchers. Of tokens with one normalized spelling the smallest
// id is found, and one of which nothing is left is never found.
func (v *addedVocabulary) build() {
	var input, normalized []trieEntry
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(v.tokens))) {
		if a := v.tokens[id]; !a.Normalized {
			input = append(input, trieEntry{a.Content, id})
		} else if text, _ := v.spelling(id); text != "" {
			normalized = append(normalized, trieEntry{text, id})
		}
	}
	v.input, v.normalized = newMatcher(input), newMatcher(normalized)
}

func (v *addedVocabulary) split(text string, n normalizer) ([]piece, error) {
	var out []piece
	left, size := allow("normalizer", len(text)), 0
	for _, p := range v.find(piece{text: text, token: -1}, v.input) {
		if p.token >= 0 {
			out = append(out, p)
			continue
		}
		if n != nil {
			var err error
			if p, err = n.normalize(p); err != nil {
				return nil, err
			}
			if size += len(p.text); size > left.size {
				return nil, left.spend(size)
			}
		}
		out = append(out, v.find(p, v.normalized)...)
	}
	return out, nil
}

func (v *addedVocabulary) find(p piece, m *matcher) []piece {
	if p.text == "" {
		return nil
	}
	if m == nil {
		return []piece{p.slice(0, len(p.text))}
	}
	var out []piece
	text, done := p.text, 0
	spaceFrom, spaceEnd := 0, 0 // white space that rstrip has found
	for at := 0; at < len(text); {
		start, end, id := m.next(text, at)
		if id < 0 {
			break
		}
		at = end
		a := v.tokens[id]
		if a.SingleWord && (wordBefore(text[:start]) || wordAfter(text[end:])) {
			continue
		}
		if a.LStrip {
			start = done + len(strings.TrimRightFunc(text[done:max(start, done)], unicode.IsSpace))
		}
		if a.RStrip {
			if end < spaceFrom || end > spaceEnd {
				spaceFrom, spaceEnd = end, len(text)-len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			}
			end = spaceEnd
		}
		if done < start {
			out = append(out, p.slice(done, start))
		}
		if start < end {
			q := p.slice(start, end)
			q.token = id
			out = append(out, q)
		}
		done = end
	}
	if done < len(text) {
		out = append(out, p.slice(done, len(text)))
	}
	return out
}

func wordBefore(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return text != "" && classOf(r)&isWord != 0
}

func wordAfter(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return text != "" && classOf(r)&isWord != 0
}

// parseAdded reads "added_tokens". Those that the model does not have take the
// ids after its own, in order: upstream counts so, whatever the file says.
func (t *Tokenizer) parseAdded(list []json.RawMessage) error {
	v := &addedVocabulary{
		ids: map[string]int32{}, tokens: map[int32]addedToken{},
		normal: map[int32]string{}, special: map[string]bool{},
	}
	t.added = v
	next := t.model.size()
	for _, raw := range list {
		var a addedToken
		id := int32(-1)
		o := open("added_tokens", raw)
		o.need("id", &id)
		o.need("content", &a.Content)
		o.need("single_word", &a.SingleWord)
		o.need("lstrip", &a.LStrip)
		o.need("rstrip", &a.RStrip)
		o.need("normalized", &a.Normalized)
		o.need("special", &a.Special)
		if err := o.close(); err != nil {
			return err
		}
		if a.Content == "" {
			continue
		}
		if err := checkTokens("added_tokens", []string{a.Content}, maxFound); err != nil {
			return err
		}
		if known, ok := t.ID(a.Content); ok && known != id {
			return failure.Data("added_tokens: %q has id %d, but %d in the vocabulary", a.Content, id, known)
		}
		if _, ok := t.ID(a.Content); !ok && int(id) != next {
			return failure.Data("added_tokens: %q has id %d, but the next free id is %d", a.Content, id, next)
		} else if !ok {
			next++
		}
		v.ids[a.Content], v.tokens[id] = id, a
		if a.Special {
			v.special[a.Content] = true
		}
		if a.Normalized && t.normalizer != nil {
			p, err := t.normalizer.normalize(piece{text: a.Content})
			if err != nil {
				return err
			}
			if err := checkTokens("added_tokens, normalized", []string{p.text}, maxFound); err != nil {
				return err
			}
			if p.text != a.Content {
				v.normal[id] = p.text
			}
		}
	}
	v.build()
	return nil
}

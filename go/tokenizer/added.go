package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
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

func (v *addedVocabulary) build() {
	v.input, v.normalized = newMatcher(), newMatcher()
	for id, a := range v.tokens {
		if !a.Normalized {
			v.input.add(a.Content, id)
		} else if text, _ := v.spelling(id); text != "" {
			v.normalized.add(text, id)
		}
	}
}

func (v *addedVocabulary) split(text string, n normalizer) ([]piece, error) {
	var out []piece
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
		}
		out = append(out, v.find(p, v.normalized)...)
	}
	return out, nil
}

func (v *addedVocabulary) find(p piece, m *matcher) []piece {
	if p.text == "" {
		return nil
	}
	var out []piece
	text, done := p.text, 0
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
			start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), done)
		}
		if a.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		start = max(start, done) // an earlier rstrip may have reached into this match
		if end <= start {
			continue
		}
		if done < start {
			out = append(out, p.slice(done, start))
		}
		q := p.slice(start, end)
		q.token = id
		out = append(out, q)
		done = end
	}
	if done < len(text) {
		out = append(out, p.slice(done, len(text)))
	}
	return out
}

func wordBefore(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return text != "" && isWord(r)
}

func wordAfter(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return text != "" && isWord(r)
}

// isWord is \w of Unicode TS 18.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}

// matcher finds the leftmost longest of a set of strings, with a byte trie.
type matcher struct {
	nodes []matcherNode
	first [256]bool
}

type matcherNode struct {
	next map[byte]int32
	id   int32
}

func newMatcher() *matcher { return &matcher{nodes: []matcherNode{{id: -1}}} }

func (m *matcher) add(text string, id int32) {
	at := int32(0)
	m.first[text[0]] = true
	for i := range len(text) {
		n, ok := m.nodes[at].next[text[i]]
		if !ok {
			n = int32(len(m.nodes))
			if m.nodes[at].next == nil {
				m.nodes[at].next = map[byte]int32{}
			}
			m.nodes[at].next[text[i]] = n
			m.nodes = append(m.nodes, matcherNode{id: -1})
		}
		at = n
	}
	m.nodes[at].id = id
}

func (m *matcher) next(text string, from int) (start, end int, id int32) {
	if len(m.nodes) == 1 {
		return 0, 0, -1
	}
	for ; from < len(text); from++ {
		if !m.first[text[from]] {
			continue
		}
		found := int32(-1)
		for at, i := int32(0), from; i < len(text); i++ {
			n, ok := m.nodes[at].next[text[i]]
			if !ok {
				break
			}
			if at = n; m.nodes[at].id >= 0 {
				found, end = m.nodes[at].id, i+1
			}
		}
		if found >= 0 {
			return from, end, found
		}
	}
	return 0, 0, -1
}

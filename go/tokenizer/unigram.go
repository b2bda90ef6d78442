package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// unigram takes the most probable sequence of tokens (Kudo, arXiv:1804.10959),
// found by the algorithm of Viterbi.
type unigram struct {
	tokens   []string
	scores   []float64
	ids      map[string]int32
	trie     *trie
	unk      int32 // -1 for none
	unkScore float64
	single   bool    // sums are kept in float32
	bytes    []int32 // ids of <0x00> to <0xFF> for byte fallback, -1 where there is none; nil without
}

// unkPenalty is how far an unknown character is below the worst token.
const unkPenalty = 10

func parseUnigram(o *object) (model, error) {
	var list []json.RawMessage
	var fallback bool
	unk := int32(-1)
	o.need("vocab", &list)
	if o.get("unk_id", &unk) && (unk < 0 || int(unk) >= len(list)) {
		o.fail("model.unk_id: %d is not in [0, %d)", unk, len(list))
	}
	o.get("byte_fallback", &fallback)
	if err := o.close(); err != nil {
		return nil, err
	}
	tokens, scores := make([]string, len(list)), make([]float64, len(list))
	for i, raw := range list {
		var pair []json.RawMessage
		if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			return nil, failure.Data("model.vocab[%d]: want a token and its score, got %.80s", i, raw)
		}
		var ok bool
		if scores[i], ok = parseScore(pair[1]); !ok || json.Unmarshal(pair[0], &tokens[i]) != nil {
			return nil, failure.Data("model.vocab[%d]: want a token and its score, got %.80s", i, raw)
		}
	}
	if err := checkTokens("model.vocab", tokens, maxFound); err != nil {
		return nil, err
	}
	return newUnigram(tokens, scores, unk, fallback), nil
}

func newUnigram(tokens []string, scores []float64, unk int32, fallback bool) *unigram {
	m := &unigram{tokens: tokens, scores: scores, ids: make(map[string]int32, len(tokens)), unk: unk, unkScore: math.Inf(1)}
	entries := make([]trieEntry, len(tokens))
	for i, text := range tokens {
		m.ids[text] = int32(i)
		entries[i] = trieEntry{text, int32(i)}
		m.unkScore = min(m.unkScore, scores[i])
	}
	m.unkScore -= unkPenalty
	m.trie = newTrie(entries)
	if fallback {
		m.bytes = byteIDs(m.ids)
	}
	return m
}

// byteIDs are the ids of <0x00> to <0xFF>, -1 where there is none.
func byteIDs(ids map[string]int32) []int32 {
	out := make([]int32, 256)
	for b := range out {
		out[b] = -1
		if id, ok := ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			out[b] = id
		}
	}
	return out
}

// addBytes adds a token for each byte of a text, or none if one is missing.
func addBytes(bytes []int32, text string, span Span, tokens []string, e *Encoding) bool {
	if bytes == nil {
		return false
	}
	for i := range len(text) {
		if bytes[text[i]] < 0 {
			return false
		}
	}
	for i := range len(text) {
		id := bytes[text[i]]
		e.add(id, tokens[id], span)
	}
	return true
}

func (m *unigram) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *unigram) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(m.tokens) {
		return "", false
	}
	return m.tokens[id], true
}

func (m *unigram) size() int { return len(m.tokens) }
func (m *unigram) top() int  { return len(m.tokens) }

// arc is the last token of the best way to a place.
type arc struct {
	score float64
	from  int32 // -1 where no way leads to
	id    int32
}

func (m *unigram) tokenize(p piece, e *Encoding) error {
	best, err := m.viterbi(p.text)
	if err != nil {
		return err
	}
	var ends []int32 // from the last to the first; unknown neighbours are one
	joined := false
	for end := int32(len(p.text)); end > 0; end = best[end].from {
		unknown := best[end].id == m.unk
		if !joined || !unknown {
			ends = append(ends, end)
		}
		joined = unknown
	}
	start := 0
	for _, end := range slices.Backward(ends) {
		m.emit(p, start, int(end), e)
		start = int(end)
	}
	return nil
}

// viterbi gives the best way to each place of a text.
func (m *unigram) viterbi(text string) ([]arc, error) {
	best := make([]arc, len(text)+1)
	for i := range best {
		best[i].from = -1
	}
	for start := 0; start < len(text); {
		_, width := utf8.DecodeRuneInString(text[start:])
		here := best[start].score
		whole := false // a token of just this character
		for node, i := int32(0), start; i < len(text); i++ {
			if node = m.trie.next(node, text[i]); node < 0 {
				break
			}
			id := m.trie.value[node]
			if id < 0 {
				continue
			}
			best[i+1].reach(here+m.scores[id], start, id, m.single)
			whole = whole || i+1 == start+width
		}
		if !whole {
			if m.unk < 0 {
				return nil, failure.Data("model.unk_id is missing, and %q is in no token", text[start:start+width])
			}
			best[start+width].reach(here+m.unkScore, start, m.unk, m.single)
		}
		start += width
	}
	return best, nil
}

func (a *arc) reach(score float64, from int, id int32, single bool) {
	if single {
		score = float64(float32(score))
	}
	if a.from < 0 || score > a.score {
		*a = arc{score, int32(from), id}
	}
}

// emit adds the token of a part: by its text, else its bytes, else unknown.
func (m *unigram) emit(p piece, start, end int, e *Encoding) {
	text, span := p.text[start:end], p.span(start, end)
	if node := m.trie.walk(0, text); node >= 0 && m.trie.value[node] >= 0 {
		id := m.trie.value[node]
		e.add(id, m.tokens[id], span)
	} else if !addBytes(m.bytes, text, span, m.tokens, e) {
		e.add(m.unk, text, span)
	}
}

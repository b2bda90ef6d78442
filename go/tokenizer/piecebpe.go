package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// pieceBPE is the BPE of SentencePiece (bpe_model.cc): two neighbours merge if
// their text is a piece, the best score first, then the leftmost.
type pieceBPE struct {
	vocabulary
	unk     int32
	user    *trie            // taken whole and never merged
	found   map[string]int32 // pieces that text can become
	rank    []int32          // of scores, the best 0
	unused  []bool           // merged through, but split again at the end
	longest int
	bytes   []int32
}

func newPieceBPE(s *sentencePieces, unk int32, user *trie) *pieceBPE {
	n := len(s.pieces)
	m := &pieceBPE{unk: unk, user: user, found: make(map[string]int32, n), rank: make([]int32, n), unused: make([]bool, n)}
	m.vocabulary = vocabulary{ids: make(map[string]int32, n), tokens: s.pieces}
	scores := slices.Clone(s.scores)
	slices.SortFunc(scores, func(a, b float32) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	order := make(map[float32]int32, n)
	for _, score := range slices.Compact(scores) {
		order[score] = int32(len(order))
	}
	for i, text := range s.pieces {
		m.ids[text] = int32(i)
		m.rank[i] = order[s.scores[i]]
		m.unused[i] = s.kinds[i] == unusedPiece
		switch s.kinds[i] {
		case normalPiece, userPiece, unusedPiece:
			m.found[text] = int32(i)
			m.longest = max(m.longest, len(text))
		}
	}
	if s.fallback {
		m.bytes = byteIDs(m.ids)
	}
	return m
}

// symbol is a part of the text between merges.
type symbol struct {
	start, end, prev, next int32
	frozen                 bool
}

func (m *pieceBPE) tokenize(p piece, e *Encoding) error {
	s := m.symbols(p.text)
	var heap []candidate
	halves := map[string]int32{} // of unused pieces, where they were joined
	push := func(left, right int32) {
		if left < 0 || right < 0 || s[left].frozen || s[right].frozen || int(s[right].end-s[left].start) > m.longest {
			return
		}
		text := p.text[s[left].start:s[right].end]
		if id, ok := m.found[text]; ok {
			heap = append(heap, candidate{m.rank[id], left, id})
			rise(heap)
			if m.unused[id] {
				halves[text] = s[left].end - s[left].start
			}
		}
	}
	for i := int32(1); i < int32(len(s)); i++ {
		push(i-1, i)
	}
	for len(heap) > 0 {
		top := heap[0]
		heap[0] = heap[len(heap)-1]
		heap = heap[:len(heap)-1]
		sink(heap, 0)
		left := &s[top.left]
		if left.start == left.end || left.next < 0 || int(s[left.next].end-left.start) != len(m.tokens[top.id]) {
			continue // an earlier merge took one of the two
		}
		right := &s[left.next]
		left.end, left.next = right.end, right.next
		right.start = right.end
		if left.next >= 0 {
			s[left.next].prev = top.left
		}
		push(left.prev, top.left)
		push(top.left, left.next)
	}
	unknown := int32(-1)
	for i := int32(0); i >= 0 && len(s) > 0; i = s[i].next {
		unknown = m.emit(p, s[i].start, s[i].end, halves, unknown, e)
	}
	return nil
}

func (m *pieceBPE) symbols(text string) []symbol {
	var s []symbol
	for at := 0; at < len(text); {
		_, size := m.user.longest(text[at:])
		frozen := size > 0
		if !frozen {
			_, size = utf8.DecodeRuneInString(text[at:])
		}
		n := int32(len(s))
		s = append(s, symbol{int32(at), int32(at + size), n - 1, n + 1, frozen})
		at += size
	}
	if len(s) > 0 {
		s[len(s)-1].next = -1
	}
	return s
}

// emit adds the tokens of a symbol. An unknown one joins the unknown before it,
// which began at unknown; it gives where that begins now, -1 for nowhere.
func (m *pieceBPE) emit(p piece, start, end int32, halves map[string]int32, unknown int32, e *Encoding) int32 {
	text, span := p.text[start:end], p.span(int(start), int(end))
	id, ok := m.found[text]
	if half, split := halves[text]; ok && m.unused[id] && split {
		unknown = m.emit(p, start, start+half, halves, unknown, e)
		return m.emit(p, start+half, end, halves, unknown, e)
	}
	if ok {
		e.add(id, text, span)
		return -1
	}
	if addBytes(m.bytes, text, span, m.tokens, e) {
		return -1
	}
	if last := len(e.IDs) - 1; unknown >= 0 {
		e.Tokens[last] = p.text[unknown:end]
		e.Offsets[last].End = span.End
		return unknown
	}
	e.add(m.unk, text, span)
	return start
}

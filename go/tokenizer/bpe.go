package tokenizer

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// bpe is the model of Sennrich et al. (arXiv:1508.07909): the symbols of a
// word are merged pair by pair, lowest rank first, leftmost first.
type bpe struct {
	vocab        map[string]int32
	tokens       map[int32]string
	merges       map[uint64]merge
	unk          *string
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool
	prefix       string
	suffix       string

	// raw says that words arrive as plain bytes and the byte-level alphabet
	// is applied here, by table.
	raw      bool
	byteID   [256]int32
	rawVocab map[string]int32

	seed  maphash.Seed
	cache []atomic.Pointer[cachedWord]
}

type merge struct{ rank, id int32 }

// part is a token of a word and the number of bytes of the word it covers.
type part struct {
	id     int32
	length int32
}

type cachedWord struct {
	word  string
	parts []part
}

const (
	cacheSlots   = 1 << 15 // a power of two
	cacheMaxWord = 128     // bytes; longer words are rare and large
)

func pairOf(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// finish builds the tables that follow from the vocabulary.
func (m *bpe) finish(raw bool) {
	m.seed = maphash.MakeSeed()
	m.cache = make([]atomic.Pointer[cachedWord], cacheSlots)
	m.raw = raw && !m.byteFallback && m.prefix == "" && m.suffix == ""
	if !m.raw {
		return
	}
	for b := range m.byteID {
		m.byteID[b] = -1
		if id, ok := m.vocab[byteText[b]]; ok {
			m.byteID[b] = id
		}
	}
	if m.ignoreMerges {
		m.rawVocab = make(map[string]int32, len(m.vocab))
		for text, id := range m.vocab {
			if word, ok := bytesOf(text); ok {
				m.rawVocab[string(word)] = id
			}
		}
	}
}

func (m *bpe) tokenize(p piece, e *Encoding) error {
	parts, err := m.word(p.text)
	start := 0
	for _, q := range parts {
		end := start + int(q.length)
		e.add(q.id, p.span(start, min(end, len(p.text))))
		start = end
	}
	return err
}

func (m *bpe) word(word string) ([]part, error) {
	if m.ignoreMerges {
		vocab := m.vocab
		if m.raw {
			vocab = m.rawVocab
		}
		if id, ok := vocab[word]; ok {
			return []part{{id, int32(len(word))}}, nil
		}
	}
	if len(word) > cacheMaxWord {
		return m.merge(word)
	}
	slot := &m.cache[maphash.String(m.seed, word)&(cacheSlots-1)]
	if c := slot.Load(); c != nil && c.word == word {
		return c.parts, nil
	}
	parts, err := m.merge(word)
	if err == nil {
		slot.Store(&cachedWord{strings.Clone(word), parts})
	}
	return parts, err
}

func (m *bpe) merge(word string) ([]part, error) {
	var symbols []part
	var err error
	if m.raw {
		symbols, err = m.rawSymbols(word)
	} else {
		symbols, err = m.symbols(word)
	}
	if err != nil || len(symbols) < 2 {
		return symbols, err
	}
	return m.mergeAll(symbols), nil
}

// symbols are the characters of a word as ids, with byte fallback and unknown
// tokens. A byte fallback does not end a run of unknown characters: so it is upstream.
func (m *bpe) symbols(word string) ([]part, error) {
	s := make([]part, 0, len(word))
	unk := part{id: -1}
	for i := 0; i < len(word); {
		_, n := utf8.DecodeRuneInString(word[i:])
		text := word[i : i+n]
		if i > 0 {
			text = m.prefix + text
		}
		if i+n == len(word) {
			text += m.suffix
		}
		i += n
		id, ok := m.vocab[text]
		if !ok {
			if m.byteFallback {
				if ids, ok := m.fallback(text); ok {
					s = append(s, ids...)
					continue
				}
			}
			if err := m.unknown(&s, &unk, int32(n)); err != nil {
				return nil, err
			}
			continue
		}
		if unk.id >= 0 {
			s = append(s, unk)
			unk.id = -1
		}
		s = append(s, part{id, int32(n)})
	}
	if unk.id >= 0 {
		s = append(s, unk)
	}
	return s, nil
}

func (m *bpe) rawSymbols(word string) ([]part, error) {
	s := make([]part, 0, len(word))
	unk := part{id: -1}
	for i := range len(word) {
		id := m.byteID[word[i]]
		if id < 0 {
			if err := m.unknown(&s, &unk, 1); err != nil {
				return nil, err
			}
			continue
		}
		if unk.id >= 0 {
			s = append(s, unk)
			unk.id = -1
		}
		s = append(s, part{id, 1})
	}
	if unk.id >= 0 {
		s = append(s, unk)
	}
	return s, nil
}

// unknown lengthens the pending unknown token or starts one. Without an
// unknown token the character is dropped, as upstream does.
func (m *bpe) unknown(s *[]part, pending *part, n int32) error {
	if m.unk == nil {
		return nil
	}
	if pending.id >= 0 && m.fuseUnk {
		pending.length += n
		return nil
	}
	if pending.id >= 0 {
		*s = append(*s, *pending)
	}
	id, ok := m.vocab[*m.unk]
	if !ok {
		return failure.Data("model.unk_token: %q is not in the vocabulary", *m.unk)
	}
	*pending = part{id, n}
	return nil
}

func (m *bpe) fallback(text string) ([]part, bool) {
	parts := make([]part, len(text))
	for i := range len(text) {
		id, ok := m.vocab[fmt.Sprintf("<0x%02X>", text[i])]
		if !ok {
			return nil, false
		}
		parts[i] = part{id, 1}
	}
	return parts, true
}

// candidate is a pair that may be merged: the rank and the left position.
type candidate struct {
	rank, left, id int32
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.left < d.left
}

// mergeAll merges with a heap over a linked list: n log n for n symbols.
func (m *bpe) mergeAll(s []part) []part {
	n := int32(len(s))
	next := make([]int32, 2*n)
	prev := next[n:]
	next = next[:n]
	heap := make([]candidate, 0, n)
	for i := range n {
		next[i], prev[i] = i+1, i-1
		if i+1 < n {
			if g, ok := m.merges[pairOf(s[i].id, s[i+1].id)]; ok {
				heap = append(heap, candidate{g.rank, i, g.id})
			}
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sink(heap, i)
	}
	push := func(left, right int32) {
		if g, ok := m.merges[pairOf(s[left].id, s[right].id)]; ok {
			heap = append(heap, candidate{g.rank, left, g.id})
			rise(heap)
		}
	}
	for len(heap) > 0 {
		top := heap[0]
		heap[0] = heap[len(heap)-1]
		heap = heap[:len(heap)-1]
		sink(heap, 0)
		left := top.left
		if s[left].length == 0 || next[left] == n {
			continue
		}
		right := next[left]
		if g, ok := m.merges[pairOf(s[left].id, s[right].id)]; !ok || g.id != top.id {
			continue // an earlier merge took one of the two
		}
		s[left] = part{top.id, s[left].length + s[right].length}
		s[right].length = 0
		next[left] = next[right]
		if next[left] < n {
			prev[next[left]] = left
			push(left, next[left])
		}
		if prev[left] >= 0 {
			push(prev[left], left)
		}
	}
	kept := s[:0]
	for _, q := range s {
		if q.length > 0 {
			kept = append(kept, q)
		}
	}
	return kept
}

func sink(h []candidate, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

func rise(h []candidate) {
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

package tokenizer

import (
	"encoding/json"
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/graftlm/graft/go/failure"
)

// bpe is the model of Sennrich et al. (arXiv:1508.07909): the symbols of a
// word are merged pair by pair, lowest rank first, leftmost first.
type bpe struct {
	vocabulary
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

func parseBPE(o *object) (model, error) {
	m := &bpe{}
	var dropout float64
	var merges []json.RawMessage
	ids := map[string]int32{}
	if o.get("dropout", &dropout) && dropout != 0 {
		o.fail("model.dropout: %g makes encoding random; set it to null", dropout)
	}
	var unk string
	if o.get("unk_token", &unk) {
		m.unk = &unk
	}
	o.get("continuing_subword_prefix", &m.prefix)
	o.get("end_of_word_suffix", &m.suffix)
	if max(len(m.prefix), len(m.suffix)) > maxAffix {
		o.fail("model: continuing_subword_prefix and end_of_word_suffix may have %d bytes, here %d and %d", maxAffix, len(m.prefix), len(m.suffix))
	}
	o.get("fuse_unk", &m.fuseUnk)
	o.get("byte_fallback", &m.byteFallback)
	o.get("ignore_merges", &m.ignoreMerges)
	o.need("vocab", &ids)
	o.need("merges", &merges)
	if err := o.close(); err != nil {
		return nil, err
	}
	var err error
	if m.vocabulary, err = newVocabulary(ids); err != nil {
		return nil, err
	}
	return m, m.readMerges(merges)
}

// readMerges takes both spellings: ["a", "b"] and "a b".
func (m *bpe) readMerges(merges []json.RawMessage) error {
	m.merges = make(map[uint64]merge, len(merges))
	rank := int32(0)
	for i, raw := range merges {
		var pair []string
		if json.Unmarshal(raw, &pair) != nil {
			var line string
			if err := json.Unmarshal(raw, &line); err != nil {
				return failure.Data("model.merges[%d]: %w", i, err)
			}
			if strings.HasPrefix(line, "#version") {
				continue
			}
			pair = strings.Split(line, " ")
		}
		if len(pair) != 2 {
			return failure.Data("model.merges[%d]: want two tokens, got %d", i, len(pair))
		}
		if len(pair[1]) < len(m.prefix) {
			return failure.Data("model.merges[%d]: %q is shorter than continuing_subword_prefix", i, pair[1])
		}
		a, okA := m.ids[pair[0]]
		b, okB := m.ids[pair[1]]
		id, ok := m.ids[pair[0]+pair[1][len(m.prefix):]]
		if !okA || !okB || !ok {
			return failure.Data("model.merges[%d]: %q and %q or their union are not in the vocabulary", i, pair[0], pair[1])
		}
		m.merges[pairOf(a, b)] = merge{rank, id}
		rank++
	}
	return nil
}

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
		if id, ok := m.ids[byteText[b]]; ok {
			m.byteID[b] = id
		}
	}
	if m.ignoreMerges {
		m.rawVocab = make(map[string]int32, len(m.ids))
		for text, id := range m.ids {
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
		e.add(q.id, m.tokens[q.id], p.span(start, end))
		start = end
	}
	return err
}

func (m *bpe) word(word string) ([]part, error) {
	if m.ignoreMerges {
		vocab := m.ids
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

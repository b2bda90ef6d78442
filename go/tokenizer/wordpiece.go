package tokenizer

import "unicode/utf8"

// wordPiece takes the longest token that a word begins with, then again for
// the rest, where tokens carry a prefix (Wu et al., arXiv:1609.08144, as BERT
// applies it). A word with a part of no token is unknown as a whole.
type wordPiece struct {
	vocabulary
	unk      string
	maxChars int
	trie     *trie
	inner    int32 // the node that tokens inside a word hang from; -1 for none
}

func parseWordPiece(o *object) (model, error) {
	m := &wordPiece{}
	var prefix string
	ids := map[string]int32{}
	o.need("vocab", &ids)
	o.need("unk_token", &m.unk)
	o.need("continuing_subword_prefix", &prefix)
	o.need("max_input_chars_per_word", &m.maxChars)
	if err := o.close(); err != nil {
		return nil, err
	}
	var err error
	if m.vocabulary, err = newVocabulary(ids); err != nil {
		return nil, err
	}
	if err := checkTokens("model.vocab", m.tokens, maxFound); err != nil {
		return nil, err
	}
	entries := make([]trieEntry, 0, len(ids))
	for text, id := range ids {
		entries = append(entries, trieEntry{text, id})
	}
	m.trie = newTrie(entries)
	m.inner = m.trie.walk(0, prefix)
	return m, nil
}

func (m *wordPiece) tokenize(p piece, e *Encoding) error {
	from := len(e.IDs)
	known := utf8.RuneCountInString(p.text) <= m.maxChars
	for start := 0; known && start < len(p.text); {
		id, end := m.match(p.text, start)
		if known = id >= 0; known {
			e.add(id, m.tokens[id], p.span(start, end))
		}
		start = end
	}
	if known {
		return nil
	}
	id, err := m.unknownID(m.unk)
	if err != nil {
		return err
	}
	e.IDs, e.Tokens, e.Offsets = e.IDs[:from], e.Tokens[:from], e.Offsets[:from]
	e.add(id, m.unk, p.span(0, len(p.text)))
	return nil
}

// match is the longest token at a place of a word, -1 if there is none.
func (m *wordPiece) match(word string, start int) (id int32, end int) {
	id = -1
	node := int32(0)
	if start > 0 {
		node = m.inner
	}
	for i := start; i < len(word) && node >= 0; i++ {
		if node = m.trie.next(node, word[i]); node >= 0 && m.trie.value[node] >= 0 {
			id, end = m.trie.value[node], i+1
		}
	}
	return id, end
}

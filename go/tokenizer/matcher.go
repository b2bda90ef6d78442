package tokenizer

// matcher finds the leftmost longest of a set of strings.
type matcher struct{ trie *trie }

// newMatcher is nil for no strings.
func newMatcher(entries []trieEntry) *matcher {
	if len(entries) == 0 {
		return nil
	}
	return &matcher{newTrie(entries)}
}

// next is the first match from a place on, -1 for none.
func (m *matcher) next(text string, from int) (start, end int, id int32) {
	for ; from < len(text); from++ {
		node := m.trie.root[text[from]]
		id = -1
		for i := from + 1; node >= 0; i++ {
			if v := m.trie.value[node]; v >= 0 {
				id, end = v, i
			}
			if i == len(text) {
				break
			}
			node = m.trie.next(node, text[i])
		}
		if id >= 0 {
			return from, end, id
		}
	}
	return 0, 0, -1
}

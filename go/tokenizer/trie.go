package tokenizer

import (
	"slices"
	"strings"
)

// trie is a set of strings, each with a value, walked byte by byte. The
// children of a node are neighbours, ordered by their byte.
type trie struct {
	label []byte
	first []int32 // of the children
	count []int16 // of the children
	value []int32 // -1 for nodes that end no string
	root  [256]int32
}

type trieEntry struct {
	text  string
	value int32
}

// newTrie takes entries in any order; of equal texts the last one counts.
func newTrie(entries []trieEntry) *trie {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b trieEntry) int { return strings.Compare(a.text, b.text) })
	t := &trie{}
	t.add(0)
	type span struct{ node, from, to, depth int }
	queue := []span{{0, 0, len(sorted), 0}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for s.from < s.to && len(sorted[s.from].text) == s.depth {
			t.value[s.node] = sorted[s.from].value
			s.from++
		}
		t.first[s.node] = int32(len(t.label))
		for i := s.from; i < s.to; {
			b := sorted[i].text[s.depth]
			j := i + 1
			for j < s.to && sorted[j].text[s.depth] == b {
				j++
			}
			queue = append(queue, span{len(t.label), i, j, s.depth + 1})
			t.add(b)
			t.count[s.node]++
			i = j
		}
	}
	for i := range t.root {
		t.root[i] = -1
	}
	for n := range int32(t.count[0]) {
		t.root[t.label[t.first[0]+n]] = t.first[0] + n
	}
	return t
}

func (t *trie) add(label byte) {
	t.label = append(t.label, label)
	t.first = append(t.first, 0)
	t.count = append(t.count, 0)
	t.value = append(t.value, -1)
}

// next is the child of a node by a byte, or -1.
func (t *trie) next(node int32, b byte) int32 {
	if node == 0 {
		return t.root[b]
	}
	low, n := t.first[node], int32(t.count[node])
	for n > 8 {
		half := n / 2
		if t.label[low+half] <= b {
			low += half
			n -= half
		} else {
			n = half
		}
	}
	for ; n > 0; n-- {
		if t.label[low] == b {
			return low
		}
		low++
	}
	return -1
}

// walk is the node that a text leads to from a node, or -1.
func (t *trie) walk(node int32, text string) int32 {
	for i := 0; i < len(text) && node >= 0; i++ {
		node = t.next(node, text[i])
	}
	return node
}

// longest is the value of the longest string that a text begins with, and the
// length; 0 for none.
func (t *trie) longest(text string) (value int32, size int) {
	node := int32(0)
	for i := range len(text) {
		if node = t.next(node, text[i]); node < 0 {
			break
		}
		if v := t.value[node]; v >= 0 {
			value, size = v, i+1
		}
	}
	return value, size
}

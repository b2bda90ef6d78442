package tokenizer

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

package data

import "sort"

// Pack puts whole documents into bins of size tokens by best fit decreasing
// (stable sort by length; the fullest bin that still has room, the oldest on a
// tie). It returns the document indices of each bin; a document longer than
// size is alone in a bin, so overflow is to be settled before. The time is
// O(documents x bins): call it on one window of the order.
func Pack(lengths []int, size int) [][]int {
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return lengths[order[a]] > lengths[order[b]] })
	var bins [][]int
	var space []int
	for _, doc := range order {
		best := -1
		for b, room := range space {
			if room >= lengths[doc] && (best < 0 || room < space[best]) {
				best = b
			}
		}
		if best < 0 {
			best = len(bins)
			bins, space = append(bins, nil), append(space, size)
		}
		bins[best] = append(bins[best], doc)
		space[best] -= lengths[doc]
	}
	return bins
}

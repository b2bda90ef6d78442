package data

import (
	"hash/maphash"
	"math"

	"github.com/graftlm/graft/go/failure"
)

// Rows is a list of rows, held in one flat piece: four bytes a token, and a bit
// that says whether it is trained. A selection shares it.
type Rows struct {
	*store
	index []int32 // rows of the store
}

type store struct {
	ids     []int32
	trained []uint64
	ends    []int
	targets []int32
	line    []int32
	file    []int32 // of names
	names   []string
	weights []float64 // of each group
	group   []int32
}

func newRows() *Rows { return &Rows{store: &store{}} }

// begin starts a group of rows that occur weight times in an epoch.
func (r *Rows) begin(weight float64) {
	r.weights = append(r.weights, weight)
}

// add appends a row to the group.
func (r *Rows) add(row Row) {
	if len(r.names) == 0 || r.names[len(r.names)-1] != row.Source {
		r.names = append(r.names, row.Source)
	}
	var targets int32
	for i, id := range row.IDs {
		at := len(r.ids)
		if at/64 == len(r.trained) {
			r.trained = append(r.trained, 0)
		}
		if row.Labels[i] != Masked && i > 0 {
			r.trained[at/64] |= 1 << (at % 64)
			targets++
		}
		r.ids = append(r.ids, id)
	}
	r.ends = append(r.ends, len(r.ids))
	r.targets = append(r.targets, targets)
	r.line = append(r.line, int32(row.Line))
	r.file = append(r.file, int32(len(r.names)-1))
	r.group = append(r.group, int32(len(r.weights)-1))
	r.index = append(r.index, int32(len(r.ends)-1))
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.index) }

// Tokens is the length of row i.
func (r *Rows) Tokens(i int) int {
	start, end := r.span(i)
	return end - start
}

// Targets is the number of trained tokens of row i.
func (r *Rows) Targets(i int) int { return int(r.targets[r.index[i]]) }

// Row is row i. Its IDs share memory with the list.
func (r *Rows) Row(i int) Row {
	start, end := r.span(i)
	row := Row{IDs: r.ids[start:end:end], Labels: make([]int32, end-start), Source: r.names[r.file[r.index[i]]], Line: int(r.line[r.index[i]])}
	for at := start; at < end; at++ {
		row.Labels[at-start] = Masked
		if r.trained[at/64]>>(at%64)&1 == 1 {
			row.Labels[at-start] = r.ids[at]
		}
	}
	return row
}

func (r *Rows) span(i int) (start, end int) {
	j := r.index[i]
	if j > 0 {
		start = r.ends[j-1]
	}
	return start, r.ends[j]
}

// Split takes rows out for validation, chosen by the keyed permutation of the
// seed: size is a part below 1, at least one row of it, or a number of rows.
// Both parts keep the order of the files; neither may be empty unless size is 0.
func (r *Rows) Split(size float64, seed uint64) (train, val *Rows, err error) {
	if size < 0 || size >= 1 && size != math.Trunc(size) || size != size {
		return nil, nil, failure.Config("val_set_size must be a part below 1 or a whole number of rows, got %v", size)
	}
	if size > 0 && size < 1 {
		size = max(1, math.Round(size*float64(r.Len())))
	}
	if size >= float64(r.Len()) {
		return nil, nil, failure.Data("val_set_size takes %.0f of %d rows and leaves none to train on", size, r.Len())
	}
	count := int(size)
	train, val = &Rows{store: r.store}, &Rows{store: r.store}
	held := make([]bool, len(r.index))
	p := Permutation{N: len(r.index), Seed: mix(seed ^ splitPurpose)}
	for i := range count {
		held[p.At(i)] = true
	}
	for i, j := range r.index {
		if held[i] {
			val.index = append(val.index, j)
		} else {
			train.index = append(train.index, j)
		}
	}
	return train, val, nil
}

// splitPurpose keeps the split apart from the order of epochs.
const splitPurpose = 0x73706c6974 // "split"

// Duplicates counts the rows whose tokens and labels occurred before.
func (r *Rows) Duplicates() int { return r.Len() - len(r.keys(maphash.MakeSeed())) }

// Overlap counts the rows that are in both lists, as seen from r.
func (r *Rows) Overlap(other *Rows) (n int) {
	seed := maphash.MakeSeed()
	keys := other.keys(seed)
	for i := range r.Len() {
		if keys[r.key(seed, i)] {
			n++
		}
	}
	return n
}

func (r *Rows) keys(seed maphash.Seed) map[uint64]bool {
	keys := make(map[uint64]bool, r.Len())
	for i := range r.Len() {
		keys[r.key(seed, i)] = true
	}
	return keys
}

// key is a 64-bit hash of a row; that two different ones meet in a list of a
// million has a chance below 1e-7.
func (r *Rows) key(seed maphash.Seed, i int) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	start, end := r.span(i)
	for at := start; at < end; at++ {
		id, bit := r.ids[at], byte(r.trained[at/64]>>(at%64)&1)
		h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24), bit})
	}
	return h.Sum64()
}

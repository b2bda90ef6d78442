package data

import "math"

// order lays the rows of an epoch out: each source as often as its weight
// says, whole rounds first, then a part of one that is another part in each
// epoch; all of it shuffled together.
type order struct {
	n       int
	parts   []part
	shuffle bool
	seed    uint64
}

// part is a source: count occurrences of the rows first to first+rows.
type part struct{ first, rows, count int }

func newOrder(r *Rows, shuffle bool, seed uint64) order {
	o := order{shuffle: shuffle, seed: seed}
	for i := 0; i < r.Len(); {
		group, first := r.group(i), i
		for i < r.Len() && r.group(i) == group {
			i++
		}
		p := part{first: first, rows: i - first, count: int(math.Round(float64(i-first) * r.groups[group].Weight))}
		o.parts = append(o.parts, p)
		o.n += p.count
	}
	return o
}

// rows are those of an epoch in its order.
func (o order) rows(epoch int) []int32 {
	flat := make([]int32, 0, o.n)
	for k, p := range o.parts {
		pick := Permutation{N: p.rows, Seed: mix(o.seed ^ weightPurpose + uint64(k)), Epoch: uint64(epoch)}
		for i := range p.count {
			at := i % p.rows
			if o.shuffle {
				at = pick.At(at)
			}
			flat = append(flat, int32(p.first+at))
		}
	}
	if !o.shuffle {
		return flat
	}
	out := make([]int32, len(flat))
	whole := Permutation{N: len(flat), Seed: o.seed, Epoch: uint64(epoch)}
	for i := range out {
		out[i] = flat[whole.At(i)]
	}
	return out
}

// weightPurpose keeps the choice of rows apart from their order.
const weightPurpose = 0x776569676874 // "weight"

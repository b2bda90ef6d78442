package data

import "math/bits"

// WithFeatures is a micro-batch of labelled rows whose features are known, one
// row of width numbers each: it has no tokens, and as many sequences as the
// next power of two. features may be nil, for the shape alone.
func WithFeatures(rows []Row, features []float32) MicroBatch {
	m := Flatten(rows)
	n := 1 << bits.Len(uint(max(len(rows), 1)-1))
	fill := func(v []float32) []float32 {
		if len(rows) == 0 || len(v) == 0 {
			return v
		}
		return append(v, make([]float32, (n-len(rows))*(len(v)/len(rows)))...)
	}
	m.IDs, m.Positions, m.Cu = nil, nil, make([]int32, n+1)
	m.Values, m.Features = fill(m.Values), fill(append([]float32(nil), features...))
	for len(m.Rows) < n {
		m.Rows, m.Targets, m.Weights = append(m.Rows, 0), append(m.Targets, 0), append(m.Weights, 0)
	}
	return m
}

// Groups divides the rows, in their order, so that each part has at most that
// many tokens, or is a single row.
func (r *Rows) Groups(tokens int) (groups [][]int32) {
	var group []int32
	held := 0
	for i := range r.Len() {
		if n := r.Tokens(i); len(group) > 0 && held+n > tokens {
			groups, group, held = append(groups, group), nil, 0
		}
		group, held = append(group, int32(i)), held+r.Tokens(i)
	}
	if len(group) > 0 {
		groups = append(groups, group)
	}
	return groups
}

// Batch lays some of the rows out, filled to a bucket. No batch has more tokens
// than limit.
func (r *Rows) Batch(group []int32, limit int) (MicroBatch, error) {
	rows, err := r.pick(group)
	tokens := 0
	for _, row := range rows {
		tokens += len(row.IDs)
	}
	b := BucketFor(tokens, len(rows), len(rows), max(limit, tokens))
	return Flatten(rows).Fill(b.labelled()), err
}

func (r *Rows) pick(group []int32) (rows []Row, err error) {
	rows = make([]Row, len(group))
	for i, j := range group {
		if rows[i], err = r.Row(int(j)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Featured is WithFeatures for some of the rows, of which features has all.
func (r *Rows) Featured(group []int32, features []float32, width int) (MicroBatch, error) {
	var some []float32
	for _, j := range group {
		if features != nil {
			some = append(some, features[int(j)*width:int(j+1)*width]...)
		}
	}
	rows, err := r.pick(group)
	return WithFeatures(rows, some), err
}

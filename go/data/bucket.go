package data

import "math/bits"

// Bucket is the shape of a micro-batch: its three numbers rounded up, so that
// few shapes occur in a run and programs repeat.
type Bucket struct{ Tokens, Sequences, Targets int }

// grid rounds up to a multiple of an eighth of the octave below, at least 64,
// but never above the cap.
func grid(n, limit int) int {
	if n >= limit {
		return n
	}
	step := 64
	if n > 0 {
		step = max(64, 1<<(bits.Len(uint(n))-1)/8)
	}
	return min((n+step-1)/step*step, limit)
}

// BucketFor is the bucket of a micro-batch with so many tokens, sequences and
// targets, of which no micro-batch has more tokens than limit: about eight
// values of tokens and of targets an octave, powers of two of sequences.
func BucketFor(tokens, sequences, targets, limit int) Bucket {
	b := Bucket{Tokens: grid(tokens, limit)}
	b.Targets = grid(max(targets, 1), b.Tokens)
	if b.Tokens > tokens {
		sequences++ // the tail
	}
	b.Sequences = 1 << bits.Len(uint(max(sequences, 1)-1))
	return b
}

// labelled is the bucket of a micro-batch whose sequences have labels.
func (b Bucket) labelled() Bucket {
	b.Targets = b.Sequences
	return b
}

// Fill brings a micro-batch to the shape of a bucket that holds it. The tokens
// that are missing become one last sequence of id 0 without targets, whose
// positions stay within those of the real tokens; sequences that are missing
// are empty and lie before it; target rows that are missing are row 0 with
// weight 0. The virtual tokens of sequences that are missing have rows beyond
// the last token.
func (m MicroBatch) Fill(b Bucket) MicroBatch {
	longest := int32(0)
	for _, p := range m.Positions {
		longest = max(longest, p)
	}
	m.IDs = append(make([]int32, 0, b.Tokens), m.IDs...)
	m.Positions = append(make([]int32, 0, b.Tokens), m.Positions...)
	for i := int32(0); len(m.IDs) < b.Tokens; i++ {
		m.IDs = append(m.IDs, 0)
		m.Positions = append(m.Positions, i%(longest+1))
	}
	end := m.Cu[len(m.Cu)-1]
	m.Virtual = append(make([]int32, 0, b.Sequences*m.Prompt), m.Virtual...)
	for row := int32(b.Tokens); len(m.Virtual) < b.Sequences*m.Prompt; row++ {
		m.Virtual = append(m.Virtual, row)
	}
	m.Cu = append(make([]int32, 0, b.Sequences+1), m.Cu...)
	for len(m.Cu) < b.Sequences+1 {
		m.Cu = append(m.Cu, end)
	}
	m.Cu[b.Sequences] = int32(b.Tokens)
	if n := len(m.Rows); n > 0 {
		m.Values = append(m.Values, make([]float32, (b.Sequences-n)*(len(m.Values)/n))...)
	}
	m.Rows = append(make([]int32, 0, b.Targets), m.Rows...)
	m.Targets = append(make([]int32, 0, b.Targets), m.Targets...)
	m.Weights = append(make([]float32, 0, b.Targets), m.Weights...)
	for len(m.Rows) < b.Targets {
		m.Rows, m.Targets, m.Weights = append(m.Rows, 0), append(m.Targets, 0), append(m.Weights, 0)
	}
	return m
}

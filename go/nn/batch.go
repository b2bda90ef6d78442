package nn

import "github.com/graftlm/graft/bindings"

// Bucket is the shape of a micro-batch: three numbers, each rounded up, so
// that programs repeat.
type Bucket struct{ Tokens, Sequences, Targets int }

// Batch is one micro-batch on the device: a flat list of tokens with sequence
// boundaries. The tokens that fill the bucket are a sequence of their own
// without targets, so nothing is special about them.
type Batch struct {
	Bucket                 Bucket
	IDs, Positions         bindings.Tensor // [T] i32
	Cu                     bindings.Tensor // [n+1] i32
	Rows, Targets, Weights bindings.Tensor // [R] i32, i32, float
	Inverse                bindings.Tensor // [1] float: 1 / target tokens of the step
	Seed                   bindings.Tensor // [4] u32: key low, key high, step, micro-batch
	Freq                   bindings.Tensor // [dim/2] float: rotary frequencies
	Virtual, Slots         bindings.Tensor // [n·k] i32: rows of the k virtual tokens of each sequence, and their numbers; absent without a prompt
	Longest                int             // tokens of a sequence at most, but for the one that fills the bucket; 0: not known
	Training               bool            // dropout is on
	Recompute              int             // blocks from the lowest that keep only their inputs, and run again in the backward pass
	Values                 bindings.Tensor // [n, C] float: what a sequence should give, of several labels or numbers
	Features               bindings.Tensor // [n, h] float: the pooled rows of a frozen body
	Output                 bindings.Tensor // [n, ·] float: what each sequence gives, where the host asks for it
	Cache                  *Cache          // keys and values of earlier tokens; generation only
	// Gates are the weights of adapters for each token, [T] float each; nil: all 1.
	Gates []bindings.Tensor
}

// Cache holds the keys and values of earlier tokens, for generation.
type Cache struct {
	K, V []bindings.Tensor // a layer each, [slots, kv heads·dim]
	Rows bindings.Tensor   // [T] i32: the slot of each new token
	Keys bindings.Tensor   // [n, 2] i32: first slot and number of keys of each sequence
}

// Staging is the memory that the host writes before a launch: room for the
// largest bucket, of which every micro-batch is a view.
type Staging struct {
	ints    bindings.Tensor // ids, positions, cu, rows, targets, virtual rows, their numbers
	floats  bindings.Tensor // inverse, learning rate, frequencies, weights, values, features
	Seed    bindings.Tensor
	largest Bucket
	freqs   int
	row     PerSequence
}

// PerSequence is how many numbers each sequence brings with it, and how many
// virtual tokens it begins with.
type PerSequence struct{ Values, Features, Virtual int }

// NewStaging allocates for buckets up to the largest in each number.
func NewStaging(m *bindings.Memory, t Types, buckets []Bucket, freqs int, row PerSequence) *Staging {
	s := &Staging{freqs: freqs, row: row}
	for _, b := range buckets {
		s.largest.Tokens = max(s.largest.Tokens, b.Tokens)
		s.largest.Sequences = max(s.largest.Sequences, b.Sequences)
		s.largest.Targets = max(s.largest.Targets, b.Targets)
	}
	l := s.largest
	s.ints = m.Alloc(bindings.Staging, bindings.I32, s.intsOf(l))
	s.floats = m.Alloc(bindings.Staging, t.Param, 2+freqs+l.Targets+l.Sequences*(row.Values+row.Features))
	s.Seed = m.Alloc(bindings.Staging, bindings.U32, 4)
	return s
}

// Batch is the view of a bucket. Its integers and its floats are each one
// contiguous range (see Ints and Floats), so a micro-batch is two uploads.
func (s *Staging) Batch(b Bucket) Batch {
	at := 0
	ints := func(n int) bindings.Tensor {
		at += n
		return s.ints.View(at-n, n)
	}
	after := 2 + s.freqs + b.Targets
	values := func(n int) bindings.Tensor {
		if n == 0 {
			return bindings.Tensor{}
		}
		after += b.Sequences * n
		return s.floats.View(after-b.Sequences*n, b.Sequences, n)
	}
	in := Batch{
		Bucket: b, Training: true,
		IDs: ints(b.Tokens), Positions: ints(b.Tokens), Cu: ints(b.Sequences + 1),
		Rows: ints(b.Targets), Targets: ints(b.Targets),
		Inverse: s.floats.View(0, 1), Freq: s.floats.View(2, s.freqs),
		Weights: s.floats.View(2+s.freqs, b.Targets),
		Values:  values(s.row.Values), Features: values(s.row.Features),
		Seed: s.Seed,
	}
	if n := b.Sequences * s.row.Virtual; n > 0 {
		in.Virtual, in.Slots = ints(n), ints(n)
	}
	return in
}

// intsOf is the number of integers of a bucket.
func (s *Staging) intsOf(b Bucket) int {
	return 2*b.Tokens + b.Sequences + 1 + 2*b.Targets + 2*b.Sequences*s.row.Virtual
}

// LR is the learning rate of the update.
func (s *Staging) LR() bindings.Tensor { return s.floats.View(1, 1) }

// Ints is where the integers of a bucket lie, in the order ids, positions, cu,
// rows, targets, virtual rows, their numbers.
func (s *Staging) Ints(b Bucket) bindings.Tensor { return s.ints.View(0, s.intsOf(b)) }

// Floats is where its floats lie, in the order inverse, learning rate,
// frequencies, weights, values, features.
func (s *Staging) Floats(b Bucket) bindings.Tensor {
	return s.floats.View(0, 2+s.freqs+b.Targets+b.Sequences*(s.row.Values+s.row.Features))
}

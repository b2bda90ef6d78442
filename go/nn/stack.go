package nn

import "github.com/graftlm/graft/bindings"

// layer is one block of a stack; S is what it keeps for its backward pass.
type layer[S any] interface {
	// Trains reports whether anything in the block is trained.
	Trains() bool
	// forward writes the residual stream after block i to y. Where y is not
	// valid it computes only what the backward pass reads.
	forward(r Reading, y, x bindings.Tensor, in Batch, c *shared, i int) S
	// backward turns dres, the gradient of the block's output, into that of its
	// input, in place. In the lowest block it stops at the block's own
	// parameters.
	backward(r Reading, s S, dres bindings.Tensor, in Batch, c *shared, lowest bool)
}

// lowest is the first block that the backward pass visits: 0 if something
// below the blocks trains, else the lowest that does, or their number.
func lowest[S any, L layer[S]](blocks []L, below bool) int {
	if below {
		return 0
	}
	for i, b := range blocks {
		if b.Trains() {
			return i
		}
	}
	return len(blocks)
}

// through runs the blocks over x, lets top turn their output into the gradient
// dres of it, where wanted, and runs them backward, which leaves the gradient
// of x in dres if something below trains.
//
// Of the blocks below in.Recompute only the inputs are kept, and each runs again
// (arXiv 1604.06174), with the same dropout masks and so to the same bits. They
// are the lowest because what the others keep is free again when they run.
func through[S any, L layer[S]](r Reading, blocks []L, dres, x bindings.Tensor, in Batch, c *shared, below bool,
	top func(x bindings.Tensor, wanted bool)) {
	first, frozen := lowest[S](blocks, below), in
	frozen.Training = false
	for i := range first {
		x = pass[S](r, blocks[i], x, frozen, c, i)
	}
	n := len(blocks)
	marks, states, inputs := make([]bindings.Mark, n), make([]S, n), make([]bindings.Tensor, n)
	for i := first; i < n; i++ {
		y := r.Like(x)
		marks[i], inputs[i] = r.Mark(), x
		states[i] = blocks[i].forward(r, y, x, in, c, i)
		if i < in.Recompute {
			r.Release(marks[i])
		}
		x = y
	}
	top(x, first < n || below)
	for i := n - 1; i >= first; i-- {
		if i < in.Recompute {
			r.Order(dres, inputs[i])
			states[i] = blocks[i].forward(r, bindings.Tensor{}, inputs[i], in, c, i)
		}
		blocks[i].backward(r, states[i], dres, in, c, i == first && !below)
		r.Release(marks[i])
	}
}

// pass runs one block forward and keeps nothing: its output replaces x.
func pass[S any, L layer[S]](r Reading, b L, x bindings.Tensor, in Batch, c *shared, i int) bindings.Tensor {
	defer r.Release(r.Mark())
	y := r.Like(x)
	b.forward(r, y, x, in, c, i)
	r.Cast(x, y)
	return x
}

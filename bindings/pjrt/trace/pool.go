package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// sequences are, for each sequence [n], its first row and the row after its
// last, and where token t is in sequence s [n, T].
func (d *Tracer) sequences(cu bindings.Tensor, tokens int) (from, to, in value) {
	n := cu.Len() - 1
	v := d.get(cu)
	from, to = d.cut(v, 0, 0, n), d.cut(v, 0, 1, n+1)
	grid := []int{n, tokens}
	t := d.iota("i32", 1, grid...)
	return from, to, d.op("and", d.compare("GE", t, d.spread(from, grid, 0)), d.compare("LT", t, d.spread(to, grid, 0)))
}

// chosen is 1 where a token [n, T] goes into the row of a sequence; a mean is
// divided by length [n, 1].
func (d *Tracer) chosen(cu bindings.Tensor, tokens int, p bindings.Pooling) (share, length value) {
	from, to, in := d.sequences(cu, tokens)
	t := d.iota("i32", 1, in.dims...)
	length = d.fill(1, "f32", from.len())
	switch p {
	case bindings.PoolFirst:
		in = d.op("and", in, d.compare("EQ", t, d.spread(from, in.dims, 0)))
	case bindings.PoolLast:
		last := d.sub(to, d.num(1, to))
		in = d.op("and", in, d.compare("EQ", t, d.spread(last, in.dims, 0)))
	default:
		length = d.op("maximum", length, d.wide(d.sub(to, from)))
	}
	return d.convert(in, "f32"), length
}

// largest is the first of the largest rows of each sequence and column,
// [n, h] i32; a sequence is looked at by a mask over all tokens.
func (d *Tracer) largest(x value, cu bindings.Tensor) (row, empty value) {
	from, to, in := d.sequences(cu, x.dims[0])
	all := []int{in.dims[0], x.dims[0], x.dims[1]}
	inside := d.spread(in, all, 0, 1)
	v := d.spread(x, all, 1, 2)
	big := d.max(d.choose(inside, v, d.num(math.Inf(-1), v)), 1)
	place := d.iota("i32", 1, all...)
	hit := d.op("and", inside, d.compare("EQ", v, d.spread(big, all, 0, 2)))
	none := d.num(math.MaxInt32, place)
	row = d.fold(d.choose(hit, place, none), "minimum", math.MaxInt32, 1)
	return row, d.spread(d.compare("GE", from, to), row.dims, 0)
}

func (d *Tracer) Pool(y, x, cu bindings.Tensor, p bindings.Pooling) {
	d.begin("pool")
	v := d.wide(d.get(x))
	if p != bindings.PoolMax {
		share, length := d.chosen(cu, x.Rows(), p)
		sum := d.matmul(share, v, 1, 0)
		d.set(y, d.div(sum, d.spread(length, sum.dims, 0)))
		return
	}
	row, empty := d.largest(v, cu)
	all := []int{row.dims[0], v.dims[0], v.dims[1]}
	hit := d.compare("EQ", d.iota("i32", 1, all...), d.spread(row, all, 0, 2))
	values := d.spread(v, all, 1, 2)
	out := d.sum(d.choose(hit, values, d.num(0, values)), 1)
	d.set(y, d.choose(empty, d.num(0, out), out))
}

func (d *Tracer) PoolBackward(dx, dy, x, cu bindings.Tensor, p bindings.Pooling) {
	d.begin("pool_backward")
	g := d.wide(d.get(dy))
	if p != bindings.PoolMax {
		share, length := d.chosen(cu, dx.Rows(), p)
		d.set(dx, d.matmul(share, d.div(g, d.spread(length, g.dims, 0)), 0, 0))
		return
	}
	row, _ := d.largest(d.wide(d.get(x)), cu)
	all := []int{row.dims[0], dx.Rows(), dx.Cols()}
	hit := d.compare("EQ", d.iota("i32", 1, all...), d.spread(row, all, 0, 2))
	values := d.spread(g, all, 0, 2)
	d.set(dx, d.sum(d.choose(hit, values, d.num(0, values)), 0))
}

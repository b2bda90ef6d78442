package reference

import "github.com/graftlm/graft/bindings"

// rising checks the boundaries of sequences.
func (d *device[F]) rising(op string, cu []int32, rows int) bool {
	for s := range cu {
		if s > 0 && cu[s] < cu[s-1] || s == 0 && cu[0] != 0 || s == len(cu)-1 && int(cu[s]) != rows {
			d.fail(op, "boundaries are %v, want rising ones from 0 to %d", cu, rows)
			return false
		}
	}
	return true
}

// chosen is the row of [from, to) that stands for a column of x.
func chosen[F real](x []F, h, column, from, to int, p bindings.Pooling) int {
	row := from
	for t := from; t < to; t++ {
		if p == bindings.PoolLast || p == bindings.PoolMax && x[t*h+column] > x[row*h+column] {
			row = t
		}
	}
	return row
}

func (d *device[F]) Pool(y, x, cu bindings.Tensor, p bindings.Pooling) {
	d.types.Pool(y, x, cu, p)
	bounds := d.ints(cu)
	if !d.begin("pool", y, x, cu) || !d.rising("pool", bounds, x.Rows()) {
		return
	}
	out, in, h := d.load(y), d.load(x), x.Cols()
	for s := range len(bounds) - 1 {
		from, to := int(bounds[s]), int(bounds[s+1])
		for i := range h {
			sum := 0.0
			for t := from; t < to && p == bindings.PoolMean; t++ {
				sum += float64(in[t*h+i]) / float64(to-from)
			}
			if p != bindings.PoolMean && from < to {
				sum = float64(in[chosen(in, h, i, from, to, p)*h+i])
			}
			out[s*h+i] = F(sum)
		}
	}
	d.store(y, out)
}

func (d *device[F]) PoolBackward(dx, dy, x, cu bindings.Tensor, p bindings.Pooling) {
	d.types.PoolBackward(dx, dy, x, cu, p)
	bounds := d.ints(cu)
	if !d.begin("pool_backward", dx, dy, x, cu) || !d.rising("pool_backward", bounds, dx.Rows()) {
		return
	}
	to, g, in, h := d.load(dx), d.load(dy), d.load(x), dx.Cols()
	clear(to)
	for s := range len(bounds) - 1 {
		from, end := int(bounds[s]), int(bounds[s+1])
		for i := range h {
			switch {
			case p == bindings.PoolMean:
				for t := from; t < end; t++ {
					to[t*h+i] = F(float64(g[s*h+i]) / float64(end-from))
				}
			case from < end:
				to[chosen(in, h, i, from, end, p)*h+i] = g[s*h+i]
			}
		}
	}
	d.store(dx, to)
}

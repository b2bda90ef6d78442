package reference

import "github.com/graftlm/graft/bindings"

// inRange checks numbers that index n rows.
func (d *device[F]) inRange(op, what string, index []int32, n int) bool {
	for i, v := range index {
		if v < 0 || int(v) >= n {
			d.fail(op, "%s[%d] is %d, want one of [0, %d)", what, i, v, n)
			return false
		}
	}
	return true
}

func (d *device[F]) Embedding(y, table, ids bindings.Tensor) {
	d.types.Embedding(y, table, ids)
	if !d.begin("embedding", y, table, ids) || !d.inRange("embedding", "ids", d.ints(ids), table.Rows()) {
		return
	}
	for t, id := range d.ints(ids) {
		to := y.RowRange(t, t+1)
		row := d.load(table.RowRange(int(id), int(id)+1))
		if d.native(y) {
			copy(slice[F](d, to), row)
		}
		d.store(to, row)
	}
}

func (d *device[F]) EmbeddingBackward(dtable, dy, ids bindings.Tensor) {
	d.types.EmbeddingBackward(dtable, dy, ids)
	const op = "embedding_backward"
	if !d.begin(op, dtable, dy, ids) || !d.inRange(op, "ids", d.ints(ids), dtable.Rows()) {
		return
	}
	sum, g, h := d.load(dtable), d.load(dy), dy.Cols()
	for t, id := range d.ints(ids) {
		for i := range h {
			sum[int(id)*h+i] += g[t*h+i]
		}
	}
	d.store(dtable, sum)
}

func (d *device[F]) ScatterRows(dst, src, rows bindings.Tensor) {
	d.types.ScatterRows(dst, src, rows)
	if !d.begin("scatter_rows", dst, src, rows) || !d.inRange("scatter_rows", "rows", d.ints(rows), dst.Rows()) {
		return
	}
	to, from, n := slice[byte](d, dst), slice[byte](d, src), src.Cols()*int(src.DType.Size())
	for i, r := range d.ints(rows) {
		copy(to[int(r)*n:(int(r)+1)*n], from[i*n:])
	}
}

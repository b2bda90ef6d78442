package trace

import "github.com/graftlm/graft/bindings"

// Embedding: a number outside of the table is the nearest row, where another
// device reports an error; what makes the ids checks them.
func (d *Tracer) Embedding(y, table, ids bindings.Tensor) {
	d.begin("embedding")
	d.set(y, d.rows(d.get(table), d.get(ids)))
}

func (d *Tracer) EmbeddingBackward(dtable, dy, ids bindings.Tensor) {
	d.begin("embedding_backward")
	d.set(dtable, d.scatter(d.get(dtable), d.index(ids), d.wide(d.get(dy)), true))
}

func (d *Tracer) ScatterRows(dst, src, rows bindings.Tensor) {
	d.begin("scatter_rows")
	d.set(dst, d.bitcast(d.scatter(d.bits(d.get(dst)), d.index(rows), d.bits(d.get(src)), false), elem(dst.DType)))
}

// index is numbers of rows as a scatter wants them, [n, 1].
func (d *Tracer) index(rows bindings.Tensor) value { return d.reshape(d.get(rows), rows.Len(), 1) }

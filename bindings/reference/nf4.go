package reference

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
)

// row gives row o of a weight, as a product uses it with activations of type t.
func (d *device[F]) row(w bindings.Weight, o int, t bindings.DType) []F {
	if !w.NF4() {
		return rounded(t, d.load(w.Data.RowRange(o, o+1)))
	}
	q := quant.NF4{Codes: slice[byte](d, w.Data)}
	if w.Nested.Valid() {
		q.AbsmaxCodes, q.Nested = slice[byte](d, w.Absmax), slice[float32](d, w.Nested)
		q.Offset = slice[float32](d, w.Offset)[0]
	} else {
		q.Absmax = slice[float32](d, w.Absmax)
	}
	row := make([]F, w.In)
	for i := range row {
		row[i] = round(t, F(q.At(o*w.In+i)))
	}
	return row
}

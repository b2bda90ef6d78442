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

// NF4Dequantize takes the product of package quant, in float32 on every device.
func (d *device[F]) NF4Dequantize(y bindings.Tensor, w bindings.Weight) {
	d.types.NF4Dequantize(y, w)
	if !d.begin("nf4_dequantize", y, w.Data) {
		return
	}
	to := d.load(y)
	for o := range w.Out {
		copy(to[o*w.In:], d.row(w, o, y.DType))
	}
	d.store(y, to)
}

// NF4Quantize works in float32 whatever the device computes in: the bits of
// codes are defined there.
func (d *device[F]) NF4Quantize(codes, absmax, x bindings.Tensor) {
	d.types.NF4Quantize(codes, absmax, x)
	if !d.begin("nf4_quantize", codes, absmax, x) {
		return
	}
	values := make([]float32, x.Len())
	for i, v := range d.load(x) {
		values[i] = float32(v)
	}
	scales := make([]float32, len(values)/bindings.NF4Block)
	quant.Encode(slice[byte](d, codes), scales, values)
	to := d.load(absmax)
	for i, s := range scales {
		to[i] = F(s)
	}
	d.store(absmax, to)
}

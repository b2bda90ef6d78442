package trace

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
)

// nf4 decodes codes of a four-bit weight to float32, bit-equal to bitsandbytes. The
// value of a code is found by its bits, in four rounds of selection: that is
// vector code where a gather is not.
func (d *Tracer) nf4(w bindings.Weight, codes value) value {
	high := d.op("shift_right_logical", codes, d.num(4, codes))
	low := d.op("and", codes, d.num(15, codes))
	pair := []int{w.Out, w.In / 2, 1}
	code := d.reshape(d.concat(2, d.reshape(high, pair...), d.reshape(low, pair...)), w.Out, w.In)
	var level []value
	for _, v := range quant.Values {
		level = append(level, d.fill(float64(v), "f32", code.dims...))
	}
	for bit := 1; bit < 16; bit *= 2 {
		set := d.compare("NE", d.op("and", code, d.num(float64(bit), code)), d.num(0, code))
		for i := range len(level) / 2 {
			level[i] = d.choose(set, level[2*i+1], level[2*i])
		}
		level = level[:len(level)/2]
	}
	return d.mul(level[0], d.perElement(d.nf4Scales(w), w.Out*w.In, bindings.NF4Block, code.dims))
}

// nf4Scales are the scales of blocks. Doubly quantised they are rounded twice,
// after the product and after the sum.
func (d *Tracer) nf4Scales(w bindings.Weight) value {
	absmax := d.get(w.Absmax)
	if !w.Nested.Valid() {
		return absmax
	}
	offset := d.at(d.get(w.Offset), 0)
	scale := d.rows(d.table(quant.Signed[:]), d.convert(absmax, "i32"))
	nested := d.perElement(d.get(w.Nested), scale.len(), bindings.NestedBlock, scale.dims)
	product := d.rounded(d.mul(scale, nested), offset)
	return d.add(product, d.spread(offset, product.dims))
}

// rounded is x, with its bits passed through an addition of integers that no
// compiler can leave out (see after), so that x is not fused with what follows.
func (d *Tracer) rounded(x, by value) value {
	zero := d.spread(d.convert(d.mul(by, d.num(0, by)), "i32"), x.dims)
	return d.bitcast(d.add(d.bitcast(x, "i32"), zero), "f32")
}

// perElement repeats the number of each block for its elements.
func (d *Tracer) perElement(x value, n, block int, dims []int) value {
	all := d.reshape(d.spread(x, []int{x.len(), block}, 0), x.len()*block)
	return d.reshape(d.cut(all, 0, 0, n), dims...)
}

func (d *Tracer) NF4Dequantize(y bindings.Tensor, w bindings.Weight) {
	d.begin("nf4_dequantize")
	d.set(y, d.nf4(w, d.get(w.Data)))
}

// NF4Quantize counts the midpoints below each value.
func (d *Tracer) NF4Quantize(codes, absmax, x bindings.Tensor) {
	d.begin("nf4_quantize")
	values := d.convert(d.get(x), "f32")
	n := values.len()
	flat := d.reshape(values, n/bindings.NF4Block, bindings.NF4Block)
	scales := d.fold(d.op("abs", flat), "maximum", 0, 1)
	// A plugin may take subnormal numbers, such as 1e-38, for zero.
	least := d.op("maximum", scales, d.num(0x1p-126, scales))
	share := d.mul(flat, d.spread(d.div(d.num(1, least), least), flat.dims, 0))
	code := d.fill(0, "i32", share.dims...)
	for i := range 15 {
		mid := (quant.Values[i] + quant.Values[i+1]) / 2
		code = d.add(code, d.convert(d.compare("LT", d.num(float64(mid), share), share), "i32"))
	}
	pairs := d.reshape(code, n/2, 2)
	high, low := d.cut(pairs, 1, 0, 1), d.cut(pairs, 1, 1, 2)
	d.set(codes, d.reshape(d.convert(d.add(d.scale(high, 16), low), "ui8"), codes.Shape.Dims()...))
	d.set(absmax, scales)
}

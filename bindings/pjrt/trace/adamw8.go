package trace

import (
	"math"
	"slices"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
)

func (d *Tracer) AdamW8(p, m, v, mScale, vScale, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	d.begin("adamw8")
	state := d.get(norm)
	apply := d.compare("NE", d.at(state, 2), d.fill(0, "f32"))
	old := d.get(p)
	moment := func(codes, scales bindings.Tensor, m [256]float32) value {
		x := d.rows(d.table(m[:]), d.convert(d.get(codes), "i32"))
		return d.mul(x, d.perElement(d.get(scales), x.len(), bindings.StateBlock, x.dims))
	}
	oldM, oldV := moment(m, mScale, quant.Signed), moment(v, vScale, quant.Unsigned)
	newP, newM, newV := d.adamw(old, oldM, oldV, d.get(g), state, d.at(d.get(lr), 0), h)
	keep := func(t bindings.Tensor, now value) {
		d.set(t, d.choose(d.spread(apply, now.dims), now, d.get(t)))
	}
	keep(p, newP)
	for _, s := range []struct {
		codes, scales bindings.Tensor
		now           value
		m             [256]float32
	}{{m, mScale, newM, quant.Signed}, {v, vScale, newV, quant.Unsigned}} {
		codes, scales := d.code(s.now, s.m)
		keep(s.codes, codes)
		keep(s.scales, scales)
	}
}

// code gives the codes of a vector and the scale of each block. The code is the
// number of midpoints of the map below the value, found in eight rounds.
func (d *Tracer) code(x value, m [256]float32) (codes, scales value) {
	n, block := x.len(), bindings.StateBlock
	blocks := (n + block - 1) / block
	size := d.reshape(d.pad(d.op("abs", x), 0, 0, blocks*block-n, 0), blocks, block)
	scales = d.fold(size, "maximum", 0, 1)
	share := d.div(x, d.perElement(d.op("maximum", scales, d.num(1e-38, scales)), n, block, x.dims))
	mid := make([]float32, 256)
	for i := range 255 {
		mid[i] = 0.5 * (m[i] + m[i+1])
	}
	mid[255] = float32(math.Inf(1))
	at := d.table(slices.Clone(mid))
	code := d.fill(0, "i32", n)
	for step := 128; step > 0; step /= 2 {
		next := d.add(code, d.num(float64(step), code))
		below := d.compare("LT", d.rows(at, d.sub(next, d.num(1, code))), share)
		code = d.choose(below, next, code)
	}
	return d.convert(code, "ui8"), scales
}

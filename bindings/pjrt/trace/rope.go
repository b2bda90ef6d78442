package trace

import "github.com/graftlm/graft/bindings"

// RoPETable has float32 angles. Their sine and cosine are taken in float64:
// the float32 functions of a compiler lose digits at large positions.
func (d *Tracer) RoPETable(table, positions, freq bindings.Tensor, scale float64) {
	d.begin("rope_table")
	dims := []int{positions.Len(), freq.Len()}
	angle := d.mul(d.spread(d.wide(d.get(positions)), dims, 0), d.spread(d.get(freq), dims, 1))
	exact := d.convert(angle, "f64")
	cos, sin := d.op("cosine", exact), d.op("sine", exact)
	d.set(table, d.scale(d.concat(1, cos, sin), scale))
}

func (d *Tracer) RoPE(y, x, table bindings.Tensor, headDim int, inverse bool) {
	d.begin("rope")
	t, dim, heads := x.Rows(), table.Cols(), x.Cols()/headDim
	half := []int{t, heads, dim / 2}
	rot := d.wide(d.get(table))
	cos, sin := d.spread(d.cut(rot, 1, 0, dim/2), half, 0, 2), d.spread(d.cut(rot, 1, dim/2, dim), half, 0, 2)
	if inverse {
		sin = d.op("negate", sin)
	}
	v := d.wide(d.reshape(d.get(x), t, heads, headDim))
	a, b := d.cut(v, 2, 0, dim/2), d.cut(v, 2, dim/2, dim)
	parts := []value{d.sub(d.mul(a, cos), d.mul(b, sin)), d.add(d.mul(b, cos), d.mul(a, sin))}
	if dim < headDim { // what does not rotate
		parts = append(parts, d.cut(v, 2, dim, headDim))
	}
	d.set(y, d.concat(2, parts...))
}

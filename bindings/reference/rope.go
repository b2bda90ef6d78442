package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// RoPETable has float32 angles in every precision, as transformers does.
func (d *device[F]) RoPETable(table, positions, freq bindings.Tensor, scale float64) {
	d.types.RoPETable(table, positions, freq, scale)
	if !d.begin("rope_table", table, positions) {
		return
	}
	if _, err := d.bytes(freq); err != nil {
		d.fail("rope_table", "%v", err)
		return
	}
	out, f, half := d.load(table), d.load(freq), freq.Rows()
	for t, pos := range d.ints(positions) {
		for i := range half {
			angle := float32(pos) * float32(f[i])
			sin, cos := math.Sincos(float64(angle))
			out[t*2*half+i], out[t*2*half+half+i] = F(cos*scale), F(sin*scale)
		}
	}
	d.store(table, out)
}

func (d *device[F]) RoPE(y, x, table bindings.Tensor, headDim int, inverse bool) {
	d.types.RoPE(y, x, table, headDim, inverse)
	if !d.begin("rope", y, x, table) {
		return
	}
	out, in, rot := d.load(y), d.load(x), d.load(table)
	width, dim := x.Cols(), table.Cols()
	copy(out, in) // what does not rotate
	for t := range x.Rows() {
		for i := range dim / 2 {
			cos, sin := float64(rot[t*dim+i]), float64(rot[t*dim+dim/2+i])
			if inverse {
				sin = -sin
			}
			for h := 0; h < width; h += headDim {
				j := t*width + h + i
				u, v := float64(in[j]), float64(in[j+dim/2])
				out[j], out[j+dim/2] = F(u*cos-v*sin), F(v*cos+u*sin)
			}
		}
	}
	d.store(y, out)
}

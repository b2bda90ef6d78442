package reference

import (
	"math"
	"slices"

	"github.com/graftlm/graft/bindings"
)

// nf4 are the sixteen values of a code (QLoRA, arXiv 2305.14314, appendix E).
var nf4 = [16]float32{
	-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
}

// dynamic is the signed dynamic map of bitsandbytes, the code of doubly
// quantised scales: for each i of 0..6 the means of 2^i equal cells of
// [0.1, 1] times 10^(i−6), with both signs, and 0 and 1.
var dynamic = dynamicMap()

func dynamicMap() (m [256]float32) {
	all := []float64{0, 1}
	for i := range 7 {
		cells := 1 << i
		// torch.linspace gives float32 boundaries, counted from both ends.
		step := float32(0.9) / float32(cells)
		edge := func(k int) float32 {
			if k < (cells+1)/2 {
				return 0.1 + step*float32(k)
			}
			return 1 - step*float32(cells-k)
		}
		for k := range cells {
			mean := float64(edge(k)+edge(k+1)) / 2 * math.Pow(10, float64(i-6))
			all = append(all, mean, -mean)
		}
	}
	slices.Sort(all)
	for i, v := range all {
		m[i] = float32(v)
	}
	return m
}

// row gives row o of a weight, as a product uses it with activations of type t.
func (d *device[F]) row(w bindings.Weight, o int, t bindings.DType) []F {
	if !w.NF4() {
		return rounded(t, d.load(w.Data.RowRange(o, o+1)))
	}
	codes, row := slice[byte](d, w.Data), make([]F, w.In)
	for i := range row {
		e := o*w.In + i
		code := codes[e/2]
		if e%2 == 0 {
			code >>= 4
		}
		row[i] = round(t, F(nf4[code&15]*d.absmax(w, e/bindings.NF4Block)))
	}
	return row
}

// absmax is the scale of a block.
func (d *device[F]) absmax(w bindings.Weight, block int) float32 {
	if !w.Nested.Valid() {
		return slice[float32](d, w.Absmax)[block]
	}
	code := slice[byte](d, w.Absmax)[block]
	scale := dynamic[code] * slice[float32](d, w.Nested)[block/bindings.NestedBlock]
	return scale + slice[float32](d, w.Offset)[0]
}

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
// [0.1, 1] times 10^(i−6), with both signs, and 0 and 1. All of it is float32.
var dynamic = dynamicMap()

func dynamicMap() (m [256]float32) {
	all := []float32{0, 1}
	for i := range 7 {
		cells := 1 << i
		step := (float32(1) - float32(0.1)) / float32(cells)
		edge := func(k int) float32 { // as torch.linspace: counted from the nearer end
			if k < (cells+1)/2 {
				return fma(step, float32(k), 0.1)
			}
			return fma(-step, float32(cells-k), 1)
		}
		for k := range cells {
			mean := (edge(k) + edge(k+1)) / 2 * float32(math.Pow10(i-6))
			all = append(all, mean, -mean)
		}
	}
	slices.Sort(all)
	copy(m[:], all)
	return m
}

func fma(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }

// NF4 is a four-bit matrix on the host: two codes a byte, and a scale for each
// bindings.NF4Block elements, plain or doubly quantised.
type NF4 struct {
	Codes  []byte
	Absmax []float32

	AbsmaxCodes []byte // instead of Absmax
	Nested      []float32
	Offset      float32
}

// At is element e, counted over rows.
func (w NF4) At(e int) float32 {
	code := w.Codes[e/2]
	if e%2 == 0 {
		code >>= 4
	}
	return nf4[code&15] * w.scale(e/bindings.NF4Block)
}

func (w NF4) scale(block int) float32 {
	if w.AbsmaxCodes == nil {
		return w.Absmax[block]
	}
	// Two roundings, so that no compiler may fuse them.
	product := float32(dynamic[w.AbsmaxCodes[block]] * w.Nested[block/bindings.NestedBlock])
	return product + w.Offset
}

// row gives row o of a weight, as a product uses it with activations of type t.
func (d *device[F]) row(w bindings.Weight, o int, t bindings.DType) []F {
	if !w.NF4() {
		return rounded(t, d.load(w.Data.RowRange(o, o+1)))
	}
	q := NF4{Codes: slice[byte](d, w.Data)}
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

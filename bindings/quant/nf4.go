package quant

import "github.com/graftlm/graft/bindings"

// Values are those of the sixteen codes of NF4 (QLoRA, arXiv 2305.14314,
// appendix E), ascending.
var Values = [16]float32{
	-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
}

// between are the midpoints of Values: the codes of bitsandbytes' CUDA kernels
// change at the same float32 numbers.
var between = func() (mid [15]float32) {
	for i := range mid {
		mid[i] = (Values[i] + Values[i+1]) / 2
	}
	return mid
}()

// NF4 is a four-bit matrix on the host: two codes a byte, high nibble first,
// and a scale for each bindings.NF4Block elements, plain or doubly quantised.
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
	return Values[code&15] * w.scale(e/bindings.NF4Block)
}

func (w NF4) scale(block int) float32 {
	if w.AbsmaxCodes == nil {
		return w.Absmax[block]
	}
	// Two roundings, so that no compiler may fuse them.
	product := float32(Signed[w.AbsmaxCodes[block]] * w.Nested[block/bindings.NestedBlock])
	return product + w.Offset
}

// Scales gives the scales of all blocks in float32.
func (w NF4) Scales() []float32 {
	if w.AbsmaxCodes == nil {
		return w.Absmax
	}
	all := make([]float32, len(w.AbsmaxCodes))
	for b := range all {
		all[b] = w.scale(b)
	}
	return all
}

// Decode gives the values of whole blocks from their codes and scales.
func Decode(values []float32, codes []byte, scales []float32) {
	var table [16]float32
	for e, pair := range codes[:len(values)/2] {
		if 2*e%bindings.NF4Block == 0 {
			for c, v := range Values {
				table[c] = v * scales[2*e/bindings.NF4Block]
			}
		}
		values[2*e], values[2*e+1] = table[pair>>4], table[pair&15]
	}
}

// Encode codes whole blocks of values, and gives the scale of each: the
// largest magnitude of the block. A code is the number of midpoints below
// value/scale, so that a tie takes the lower one. Values are finite.
func Encode(codes []byte, absmax, values []float32) {
	for b := range absmax {
		block := values[b*bindings.NF4Block : (b+1)*bindings.NF4Block]
		largest := float32(0)
		for _, v := range block {
			largest = max(largest, max(v, -v))
		}
		absmax[b] = largest
		inverse := 1 / max(largest, 1e-38)
		out := codes[b*bindings.NF4Block/2 : (b+1)*bindings.NF4Block/2]
		for i := range out {
			out[i] = code(block[2*i]*inverse)<<4 | code(block[2*i+1]*inverse)
		}
	}
}

// code is a search in four comparisons.
func code(x float32) byte {
	n := 0
	if between[7] < x {
		n = 8
	}
	if between[n+3] < x {
		n += 4
	}
	if between[n+1] < x {
		n += 2
	}
	if between[n] < x {
		n++
	}
	return byte(n)
}

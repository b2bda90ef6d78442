package quant

import (
	"math"
	"slices"
)

// Signed and Unsigned are the dynamic maps of bitsandbytes (Dettmers, arXiv
// 1511.04561), ascending: for each i of 0..6 the means of 2^i equal cells of
// [0.1, 1] times 10^(i−6), with both signs, or of 2^(i+1) cells without, and 0
// and 1. All of it is float32. Signed holds the scales of doubly quantised
// weights and the first moment of 8-bit AdamW, Unsigned the second.
var Signed, Unsigned = dynamicMap(true), dynamicMap(false)

func dynamicMap(signed bool) (m [256]float32) {
	all := []float32{0, 1}
	for i := range 7 {
		cells := 1 << i
		if !signed {
			cells *= 2
		}
		step := (float32(1) - float32(0.1)) / float32(cells)
		edge := func(k int) float32 { // as torch.linspace: counted from the nearer end
			if k < (cells+1)/2 {
				return fma(step, float32(k), 0.1)
			}
			return fma(-step, float32(cells-k), 1)
		}
		for k := range cells {
			mean := (edge(k) + edge(k+1)) / 2 * float32(math.Pow10(i-6))
			all = append(all, mean)
			if signed {
				all = append(all, -mean)
			}
		}
	}
	slices.Sort(all)
	copy(m[:], all)
	return m
}

func fma(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }

// midpoints are what separates the values of a map: a value is coded as the
// number of midpoints below it.
func midpoints(m [256]float32) (mid [255]float32) {
	for i := range mid {
		mid[i] = 0.5 * (m[i] + m[i+1])
	}
	return mid
}

var signedMid, unsignedMid = midpoints(Signed), midpoints(Unsigned)

// NearestSigned and NearestUnsigned are the code of the value of a map that is
// nearest to x; half way it is the lower one.
func NearestSigned(x float32) byte   { return below(&signedMid, x) }
func NearestUnsigned(x float32) byte { return below(&unsignedMid, x) }

// below counts the midpoints below x.
func below(mid *[255]float32, x float32) byte {
	n := 0
	for step := 128; step > 0; step /= 2 {
		if n+step <= 255 && mid[n+step-1] < x {
			n += step
		}
	}
	return byte(n)
}

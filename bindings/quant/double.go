package quant

import "github.com/graftlm/graft/bindings"

// Double quantises the scales of a matrix in turn: their mean is taken off, and
// the rest coded in eight bits with a scale for each bindings.NestedBlock.
//
// Two details are those of bitsandbytes on a CPU, so that its bits come out.
// The mean is summed in the order of torch.mean with one thread, in which its
// last bit depends. And a value is rounded to one of 65536 numbers of [−1, 1]
// before its code is looked up, where the CUDA kernels look for the nearest at
// once: of a thousand scales one gets a neighbouring code there. A file has
// the codes and the offset, and is read to the same numbers everywhere.
func Double(absmax []float32) (codes []byte, nested []float32, offset float32) {
	offset = sum(absmax) / float32(len(absmax))
	codes = make([]byte, len(absmax))
	for first := 0; first < len(absmax); first += bindings.NestedBlock {
		block := absmax[first:min(first+bindings.NestedBlock, len(absmax))]
		largest := float32(0)
		for _, v := range block {
			d := v - offset
			largest = max(largest, max(d, -d))
		}
		nested = append(nested, largest)
		if largest == 0 { // bitsandbytes' code of an empty block
			continue
		}
		inverse := 1 / largest
		for i, v := range block {
			codes[first+i] = onGrid[gridIndex((v-offset)*inverse)]
		}
	}
	return codes, nested, offset
}

// gridIndex is the number of the grid point nearest to x.
func gridIndex(x float32) int {
	x = min(max(x, -1), 1)
	half := float32((x + 1) * 0.5)
	return int(fma(half, 65535, 0.5))
}

// onGrid has the code of each grid point.
var onGrid = func() *[65536]byte {
	var all [65536]byte
	n := 0
	for i := range all {
		at := -1 + float32(2*i)/65535
		for n < 255 && signedMid[n] < at {
			n++
		}
		all[i] = byte(n)
	}
	return &all
}()

// sum adds as PyTorch's CPU kernel does (cascade_sum of SumKernel.cpp): four
// vectors of eight lanes side by side, each in four levels, so that the error
// does not grow with the length. Less than a vector is four chains of scalars.
func sum(x []float32) float32 {
	const lanes, vectors, levels = 8, 4, 4
	if len(x) < lanes {
		var chain [4]float32
		for i, v := range x {
			if i < 4 && len(x) >= 4 {
				chain[i] = v
			} else {
				chain[0] += v
			}
		}
		return chain[0] + chain[1] + chain[2] + chain[3]
	}
	var acc [levels][vectors * lanes]float32
	rows := len(x) / lanes / vectors
	power := max(4, ceilLog2(rows)/levels)
	i := 0
	add := func() {
		for k, v := range x[i*vectors*lanes : (i+1)*vectors*lanes] {
			acc[0][k] += v
		}
		i++
	}
	for i+1<<power <= rows {
		for range 1 << power {
			add()
		}
		for j := 1; j < levels; j++ {
			for k := range acc[j] {
				acc[j][k] += acc[j-1][k]
				acc[j-1][k] = 0
			}
			if i&((1<<power-1)<<(j*power)) != 0 {
				break
			}
		}
	}
	for i < rows {
		add()
	}
	for j := 1; j < levels; j++ {
		for k := range acc[0] {
			acc[0][k] += acc[j][k]
		}
	}
	total := acc[0]
	at := rows * vectors * lanes
	for ; at+lanes <= len(x); at += lanes { // whole vectors that are left
		for k, v := range x[at : at+lanes] {
			total[k] += v
		}
	}
	for v := 1; v < vectors; v++ {
		for k := range lanes {
			total[k] += total[v*lanes+k]
		}
	}
	s := float32(0)
	for _, v := range x[at:] {
		s += v
	}
	for _, v := range total[:lanes] {
		s += v
	}
	return s
}

func ceilLog2(n int) int {
	log := 0
	for 1<<log < n {
		log++
	}
	return log
}

package data

import "math/bits"

// Permutation is a keyed permutation of [0, N): a pure function of seed and
// epoch, so the cursor of a run is one index. It is a four-round Feistel
// network on the smallest even number of bits that holds N, walked until the
// value falls inside (Black and Rogaway, Ciphers with arbitrary finite
// domains, 2002).
type Permutation struct {
	N     int
	Seed  uint64
	Epoch uint64
}

// At is the index of the row at position i of the epoch, 0 <= i < N.
func (p Permutation) At(i int) int {
	half := (bits.Len64(uint64(p.N-1)) + 1) / 2
	mask := uint64(1)<<half - 1
	x := uint64(i)
	for {
		left, right := x>>half, x&mask
		for round := uint64(0); round < 4; round++ {
			key := mix(p.Seed + mix(p.Epoch+mix(round)))
			left, right = right, left^mix(right^key)&mask
		}
		if x = left<<half | right; x < uint64(p.N) {
			return int(x)
		}
	}
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

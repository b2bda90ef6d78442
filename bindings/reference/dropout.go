package reference

import "github.com/graftlm/graft/bindings"

// drop multiplies rows of width in, in place, by the mask of an adapter's
// input: 0, or 1/(1−p) where an element is kept. It is its own derivative.
func (d *device[F]) drop(rows []F, p bindings.Dropout) {
	if p.P == 0 {
		return
	}
	seed, keep, below := d.words(p.Seed), F(1/(1-p.P)), p.Threshold()
	for e := 0; e < len(rows); e += 4 {
		bits := bindings.Philox([4]uint32{uint32(e / 4), p.Site, seed[2], seed[3]}, [2]uint32{seed[0], seed[1]})
		for j := e; j < min(e+4, len(rows)); j++ {
			if bits[j-e] < below {
				rows[j] = 0
			} else {
				rows[j] *= keep
			}
		}
	}
}

package reference

import (
	"cmp"
	"math"
	"slices"

	"github.com/graftlm/graft/bindings"
)

func (d *device[F]) Sample(ids bindings.Tensor, s bindings.SampleArgs) {
	d.types.Sample(ids, s)
	if !d.begin("sample", ids, s.Seen, s.Seed, s.Scratch) {
		return
	}
	if _, err := d.bytes(s.Logits); err != nil {
		d.fail("sample", "%v", err)
		return
	}
	d.poison(s.Scratch)
	logits, seen, seed, v := d.load(s.Logits), slice[byte](d, s.Seen), d.words(s.Seed), s.Logits.Cols()
	for i := range d.ints(ids) {
		row := logits[i*v : (i+1)*v]
		if s.Seen.Valid() {
			penalise(row, seen[i*v:], s.RepetitionPenalty)
		}
		word := bindings.Philox([4]uint32{uint32(i), 0, seed[2], seed[3]}, [2]uint32{seed[0], seed[1]})[0]
		d.ints(ids)[i] = int32(draw(row, s, float64(word)/(1<<32)))
	}
	d.store(s.Logits, logits)
}

// penalise divides positive logits of tokens that were seen and multiplies
// negative ones (CTRL, arXiv 1909.05858).
func penalise[F real](z []F, seen []byte, penalty float64) {
	for o := range z {
		switch {
		case seen[o] == 0:
		case z[o] > 0:
			z[o] = F(float64(z[o]) / penalty)
		default:
			z[o] = F(float64(z[o]) * penalty)
		}
	}
}

// candidate is a token that may be drawn, with e^(z − the largest z).
type candidate struct {
	id   int
	z, e float64
}

// draw chooses by the uniform number u: the first token, in the order of ids,
// at which the sum of probabilities exceeds u.
func draw[F real](z []F, s bindings.SampleArgs, u float64) int {
	all := make([]candidate, len(z))
	for o, v := range z {
		all[o] = candidate{id: o, z: float64(v)}
		if math.IsNaN(all[o].z) { // it has no place in an order
			all[o].z = math.Inf(-1)
		}
		if s.Temperature > 0 {
			all[o].z /= s.Temperature
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.z, a.z) })
	if s.Temperature == 0 {
		return all[0].id
	}
	for i := range all {
		all[i].e = math.Exp(all[i].z - all[0].z)
	}
	all = filter(all, s)
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
	left := u * total(all)
	for _, c := range all {
		if left -= c.e; left < 0 {
			return c.id
		}
	}
	return all[len(all)-1].id
}

// filter shortens the candidates, which stand in the order of falling logits.
func filter(all []candidate, s bindings.SampleArgs) []candidate {
	if k := s.TopK; k > 0 && k < len(all) {
		for k < len(all) && all[k].z == all[s.TopK-1].z { // what equals the last one stays
			k++
		}
		all = all[:k]
	}
	if s.TopP < 1 { // the fewest tokens whose probability reaches TopP
		sum, n, whole := all[0].e, 1, total(all)
		for n < len(all) && sum < s.TopP*whole {
			sum += all[n].e
			n++
		}
		all = all[:n]
	}
	n := len(all)
	for n > 1 && all[n-1].e < s.MinP {
		n--
	}
	return all[:n]
}

func total(all []candidate) (sum float64) {
	for _, c := range all {
		sum += c.e
	}
	return sum
}

package optest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
)

// The error bound of an element y is
//
//	½ulp(y) + slack·(terms·2⁻²⁴ + roundings·u)·S + absolute
//
// ½ulp is the last rounding, to the type of the output. The second part is the
// backward error of float32 arithmetic: a sum of K terms is the exact sum of
// terms that are each off by at most K·2⁻²⁴, relatively (Higham, Accuracy and
// Stability, §4.2), and each intermediate result that is kept in the type of
// activations, with unit roundoff u, adds u. S carries that to the output: the
// change of y per relative change of the inputs, independent for each element.
// It is measured on the float64 reference, as the largest of draws random
// changes of size delta; cancellation makes it large where it has to be, and
// nothing else does. slack covers the constant of functions such as exp.
//
// The bound is componentwise: an element that should be small may not carry an
// error that suits its large neighbours.
const (
	slack = 3
	draws = 8
	delta = 1.0 / (1 << 22)
)

// expected is the outcome of a case on the reference.
type expected struct {
	values      map[string][]float64
	sensitivity map[string][]float64
}

// evaluate runs a case in float64. values replace inputs, by name.
func evaluate(b build, act bindings.DType, values map[string][]float64, noise *rand.Rand) (map[string][]float64, error) {
	backend := reference.New(reference.Float64)
	m := &maker{mem: bindings.NewMemory(), profile: backend.Profile(), act: act, wide: true, guard: 8, noise: noise, values: values}
	call := b(m)
	got, err := once(backend, m, call)
	if err != nil {
		return nil, err
	}
	out := map[string][]float64{}
	for _, s := range m.specs {
		if raw, ok := got[s.name]; ok {
			out[s.name] = decode(s.slot.DType, raw)
		}
	}
	return out, nil
}

// must is evaluate for a case of the table, whose failure is a fault of ours.
func must(b build, act bindings.DType) map[string][]float64 {
	out, err := evaluate(b, act, nil, nil)
	if err != nil {
		panic(fmt.Sprintf("optest: the reference: %v", err))
	}
	return out
}

func expect(b build, act bindings.DType) expected {
	e := expected{values: must(b, act), sensitivity: map[string][]float64{}}
	for k := range draws {
		changed, err := evaluate(b, act, nil, rand.New(rand.NewPCG(uint64(k), 2)))
		if err != nil {
			panic(fmt.Sprintf("optest: the reference: %v", err))
		}
		for name, v := range changed {
			if e.sensitivity[name] == nil {
				e.sensitivity[name] = make([]float64, len(v))
			}
			for i := range v {
				if s := math.Abs(v[i]-e.values[name][i]) / delta; s > e.sensitivity[name][i] {
					e.sensitivity[name][i] = s
				}
			}
		}
	}
	return e
}

// compare holds the outputs to their bounds.
func compare(m *maker, want expected, got map[string][]byte) error {
	for _, s := range m.specs {
		raw, ok := got[s.name]
		if !ok {
			continue
		}
		values, truth := decode(s.slot.DType, raw), want.values[s.name]
		if len(values) != len(truth) {
			return fmt.Errorf("%s has %d elements, want %d", s.name, len(values), len(truth))
		}
		for i, v := range values {
			if s.skips(i) {
				continue
			}
			if m.exact {
				if y := roundTo(s.slot.DType, truth[i]); !within(v, y, 0) {
					return fmt.Errorf("%s[%d of %d] is %.9g, want exactly %.9g", s.name, i, len(values), v, y)
				}
				continue
			}
			if b := m.bound(s.slot.DType, truth[i], want.sensitivity[s.name][i]); !within(v, truth[i], b) {
				return fmt.Errorf("%s[%d of %d] is %.9g, want %.9g within %.2g", s.name, i, len(values), v, truth[i], b)
			}
		}
	}
	return nil
}

func (s *spec) skips(i int) bool {
	if s.only == nil {
		return false
	}
	for _, j := range s.only {
		if i == j {
			return false
		}
	}
	return true
}

// bound is the largest error of an element that should be y.
func (m *maker) bound(t bindings.DType, y, sensitivity float64) float64 {
	if !t.Float() {
		return 0
	}
	least := 0.0
	if m.flushes {
		least = 0x1p-126
	}
	return halfULP(t, y) + m.absolute + least + slack*(m.terms*unit(single(t))+m.roundings*unit(m.act))*sensitivity
}

// single is the type of arithmetic for results of type t.
func single(t bindings.DType) bindings.DType {
	if t == bindings.F64 {
		return t
	}
	return bindings.F32
}

// unit is the unit roundoff of a type.
func unit(t bindings.DType) float64 {
	switch t {
	case bindings.BF16:
		return 0x1p-8
	case bindings.F64:
		return 0x1p-53
	}
	return 0x1p-24
}

// halfULP is half of the distance of neighbours at y: the error of rounding
// once. Below the normal numbers of float32 it is constant.
func halfULP(t bindings.DType, y float64) float64 {
	if y == 0 {
		return 0
	}
	_, e := math.Frexp(y) // |y| in [2^(e−1), 2^e)
	return math.Ldexp(unit(t), max(e-1, -126))
}

// within holds for equal infinities and for two NaN.
func within(got, want, bound float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return got == want || math.IsNaN(got) && math.IsNaN(want)
	}
	return math.Abs(got-want) <= bound
}

package model

import (
	"encoding/binary"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/nn"
)

// verbatim says whether a parameter lies in the checkpoint as it is to lie in
// memory.
func (l loading) verbatim(s Source, name string) bool {
	dtype, _, ok := s.Lookup(name)
	t := l.p.Value.DType
	return ok && l.p.Storage == nn.Dense && l.p.Adjust == nil && (t == bindings.F32 && dtype == "F32" || t == bindings.BF16 && dtype == "BF16")
}

// bytes loads a parameter that lies there so: nothing is converted. It refuses
// what is not finite, as Values does.
func (l loading) bytes(s Source, name string) error {
	t := l.p.Value.DType
	size := int(t.Size())
	for at, n := 0, l.p.Len(); at < n; at += chunk {
		k := min(chunk, n-at)
		if err := l.step(k); err != nil {
			return err
		}
		raw := l.raw[:k*size]
		if err := s.ReadAt(name, raw, int64(at)*int64(size)); err != nil {
			return err
		}
		if !finite(t, raw) {
			return refuse(name, at, bindings.Decode(t, raw))
		}
		if err := l.dev.Upload(l.p.Value.View(at, k), raw); err != nil {
			return err
		}
	}
	return nil
}

// finite says whether no float32 or bfloat16 has an exponent of ones alone; such
// a one carries into its sign when the lowest bit of the exponent is added.
func finite(t bindings.DType, raw []byte) bool {
	exponent, one, sign := uint64(0x7f80_0000_7f80_0000), uint64(0x0080_0000_0080_0000), uint64(0x8000_0000_8000_0000)
	if t == bindings.BF16 {
		exponent, one, sign = 0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080, 0x8000_8000_8000_8000
	}
	var all uint64
	for ; len(raw) >= 8; raw = raw[8:] {
		all |= binary.LittleEndian.Uint64(raw)&exponent + one
	}
	var rest [8]byte
	copy(rest[:], raw)
	all |= binary.LittleEndian.Uint64(rest[:])&exponent + one
	return all&sign == 0
}

// refuse is the error of the first value that is not finite, nil without one.
func refuse(name string, first int, values []float32) error {
	for i, v := range values {
		if v-v != 0 {
			return failure.Data("%s: element %d is %v; a model with such a weight can only give NaN", name, first+i, v)
		}
	}
	return nil
}

package optest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
	"github.com/graftlm/graft/bindings/reference"
)

func TestReferenceFloat32(t *testing.T) { Run(t, reference.New(reference.Float32), Options{}) }

func TestReferenceFloat64(t *testing.T) {
	Run(t, reference.New(reference.Float64), Options{Types: []bindings.DType{bindings.F64}})
}

func BenchmarkReference(b *testing.B) { Bench(b, reference.New(reference.Float32)) }

// TestCount: the table keeps the rules of the interface, with every type.
func TestCount(t *testing.T) {
	for _, c := range Cases() {
		for _, act := range []bindings.DType{bindings.F32, bindings.BF16} {
			m := &maker{mem: bindings.NewMemory(), profile: bindings.CPUProfile(2), act: act, guard: 64}
			call := c.build(m)
			d := count.New(m.mem)
			call(d)
			require.NoError(t, d.Err(), "%s/%s", c.Name(), act)
			require.Equal(t, map[string]int{c.Op: 1}, d.Calls)
		}
	}
}

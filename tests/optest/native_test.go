//go:build cgo

package optest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/reference"
)

// instructionSets are those of the CPU backend. One that the machine lacks is
// refused with bindings.ErrUnavailable when a device opens.
var instructionSets = []string{"portable", "avx2", "avx512", "avx512bf16"}

// TestCPU runs the table on the CPU backend, with each instruction set of this
// machine, and expects two threads to give the bits of one.
func TestCPU(t *testing.T) {
	run, memo := 0, map[string]expected{}
	for _, isa := range instructionSets {
		t.Run(isa, func(t *testing.T) {
			t.Setenv("GRAFT_CPU_ISA", isa)
			device, err := native.CPU(native.Options{Threads: 1}).Open(bindings.Plan{})
			if err != nil {
				require.ErrorIs(t, err, bindings.ErrUnavailable)
				t.Skip(err)
			}
			require.NoError(t, device.Close())
			run++
			var results [2]map[string][]byte
			for i := range results {
				results[i] = map[string][]byte{}
				t.Run(fmt.Sprintf("threads=%d", i+1), func(t *testing.T) {
					Run(t, native.CPU(native.Options{Threads: i + 1}), Options{Results: results[i], memo: memo})
				})
			}
			for name, one := range results[0] {
				if two, ok := results[1][name]; ok {
					require.Equal(t, one, two, "%s: two threads give other bits than one", name)
				}
			}
		})
	}
	require.NotZero(t, run, "no instruction set of the CPU backend opens")
	require.Zero(t, native.Live(), "every device is closed")
}

// defined are the operations whose every rounding is defined: they give the bits
// of the reference in float32 on any device.
const defined = "adamw_bf16/"

func TestCPUGivesTheDefinedBits(t *testing.T) {
	want := map[string][]byte{}
	Run(t, reference.New(reference.Float32), Options{Only: defined, Results: want})
	for _, isa := range instructionSets {
		t.Run(isa, func(t *testing.T) {
			t.Setenv("GRAFT_CPU_ISA", isa)
			if device, err := native.CPU(native.Options{}).Open(bindings.Plan{}); err != nil {
				t.Skip(err)
			} else {
				require.NoError(t, device.Close())
			}
			got := map[string][]byte{}
			Run(t, native.CPU(native.Options{}), Options{Only: defined, Results: got})
			require.NotEmpty(t, got)
			require.Equal(t, want, got)
		})
	}
}

func BenchmarkCPU(b *testing.B) { Bench(b, native.CPU(native.Options{})) }

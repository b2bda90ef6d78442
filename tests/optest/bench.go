package optest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
)

// Bench times the cases that are large enough, with float32 and bfloat16
// activations. GFLOP/s is by the formulas of bindings/count.
func Bench(b *testing.B, backend bindings.Backend) {
	for _, c := range Cases() {
		if !c.bench {
			continue
		}
		for _, act := range []bindings.DType{bindings.F32, bindings.BF16} {
			b.Run(c.Name()+"/"+act.String(), func(b *testing.B) {
				m := &maker{mem: bindings.NewMemory(), profile: backend.Profile(), act: act, guard: 64}
				call := c.build(m)
				counted := count.New(nil)
				call(counted)
				require.NoError(b, counted.Err())
				device, err := backend.Open(m.mem.Peak())
				require.NoError(b, err)
				defer device.Close()
				for _, s := range m.specs {
					require.NoError(b, device.Upload(s.slot, s.before()))
				}
				program, err := device.Prepare(c.Op, call)
				require.NoError(b, err)
				defer program.Close()
				if err := program.Launch(); errors.Is(err, bindings.ErrNotImplemented) {
					b.Skip(err)
				}
				finish := make([]byte, m.specs[0].slot.Bytes())
				for b.Loop() {
					require.NoError(b, program.Launch())
				}
				require.NoError(b, device.Download(finish, m.specs[0].slot)) // the last launch is complete
				if counted.Flops > 0 {
					b.ReportMetric(counted.Flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				}
			})
		}
	}
}

package bench

import (
	"sync"
	"testing"
	"time"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/stretchr/testify/require"
)

// BenchmarkNF4 multiplies one token with a matrix of an 8B model, [14336,
// 4096], so that reading the weight is all of the time. It prints the weights a
// second, the bytes that decoding them moves (0.516 in and 2 out, as bfloat16),
// and that as a share of what copying moves on this machine.
func BenchmarkNF4(b *testing.B) {
	const out, in = 14336, 4096
	copied := copyBandwidth()
	for _, form := range []string{"nf4", "bf16"} {
		b.Run("matvec/"+form, func(b *testing.B) {
			backend, m := native.CPU(native.Options{}), bindings.NewMemory()
			w := bindings.Weight{Out: out, In: in}
			if form == "nf4" {
				w.Data = m.Alloc(bindings.Frozen, bindings.U8, out, in/2)
				w.Absmax = m.Alloc(bindings.Frozen, bindings.U8, out*in/bindings.NF4Block)
				w.Nested = m.Alloc(bindings.Frozen, bindings.F32, out*in/bindings.NF4Block/bindings.NestedBlock)
				w.Offset = m.Alloc(bindings.Frozen, bindings.F32, 1)
			} else {
				w.Data = m.Alloc(bindings.Frozen, bindings.BF16, out, in)
			}
			x, y := m.Act(bindings.BF16, 1, in), m.Act(bindings.BF16, 1, out)
			dev, err := backend.Open(m.Peak())
			require.NoError(b, err)
			defer dev.Close()
			for _, t := range append(w.Tensors(), x) { // touched, or a page of zeros would be read again and again
				data := make([]byte, t.Bytes())
				for i := range data {
					data[i] = byte(i*7) & 0x3f
				}
				require.NoError(b, dev.Upload(t, data))
			}
			run, err := dev.Prepare("matvec", func(ops bindings.Ops) { ops.Linear(y, bindings.LinearArgs{X: x, W: w}) })
			require.NoError(b, err)
			defer run.Close()
			for b.Loop() {
				require.NoError(b, run.Launch())
			}
			rate := out * in * float64(b.N) / b.Elapsed().Seconds()
			moved := 2.516 * rate
			if form == "bf16" {
				moved = 2 * rate
			}
			b.ReportMetric(rate/1e9, "Gweights/s")
			b.ReportMetric(moved/1e9, "GB/s")
			b.ReportMetric(100*moved/copied, "%copy")
		})
	}
}

// copyBandwidth is the bytes read and written a second by copies of 128 MiB on
// two threads, the best of five.
func copyBandwidth() float64 {
	const n = 64 << 20
	var from, to [2][]byte
	for i := range from {
		from[i], to[i] = make([]byte, n), make([]byte, n)
		for j := 0; j < n; j += 4096 {
			from[i][j], to[i][j] = 1, 1
		}
	}
	best := 0.0
	for range 5 {
		began := time.Now()
		var wait sync.WaitGroup
		for i := range from {
			wait.Go(func() { copy(to[i], from[i]) })
		}
		wait.Wait()
		best = max(best, 4*n/time.Since(began).Seconds())
	}
	return best
}

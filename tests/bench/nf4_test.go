package bench

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/stretchr/testify/require"
)

// BenchmarkNF4 works on a matrix of an 8B model, [14336, 4096], with doubly
// quantised scales. decode writes it as bfloat16; matvec multiplies one token with
// it, so that reading the weight is all of the time, beside one in bfloat16. It
// prints the weights a second, the bytes that decoding them moves (0.516 in and 2
// out), and that as a share of what copying moves on this machine: each of them the
// median, a copy after every launch.
func BenchmarkNF4(b *testing.B) {
	const out, in = 14336, 4096
	duplicate := newCopies()
	bench := func(name string, quantised bool, moved float64, program func(m *bindings.Memory, w bindings.Weight) (func(bindings.Ops), []bindings.Tensor)) {
		b.Run(name, func(b *testing.B) {
			backend, m := native.CPU(native.Options{}), bindings.NewMemory()
			w := bindings.Weight{Out: out, In: in}
			if quantised {
				w.Data = m.Alloc(bindings.Frozen, bindings.U8, out, in/2)
				w.Absmax = m.Alloc(bindings.Frozen, bindings.U8, out*in/bindings.NF4Block)
				w.Nested = m.Alloc(bindings.Frozen, bindings.F32, out*in/bindings.NF4Block/bindings.NestedBlock)
				w.Offset = m.Alloc(bindings.Frozen, bindings.F32, 1)
			} else {
				w.Data = m.Alloc(bindings.Frozen, bindings.BF16, out, in)
			}
			ops, inputs := program(m, w)
			dev, err := backend.Open(m.Peak())
			require.NoError(b, err)
			defer dev.Close()
			for _, t := range append(w.Tensors(), inputs...) { // touched, or a page of zeros would be read again and again
				data := make([]byte, t.Bytes())
				for i := range data {
					data[i] = byte(i*7) & 0x3f
				}
				require.NoError(b, dev.Upload(t, data))
			}
			run, err := dev.Prepare(name, ops)
			require.NoError(b, err)
			defer run.Close()
			var launches, copies []float64
			for b.Loop() {
				launches = append(launches, seconds(func() { require.NoError(b, run.Launch()) }))
				copies = append(copies, seconds(duplicate))
			}
			took := median(launches)
			rate, copied := out*in/took, copiedBytes/median(copies)
			b.ReportMetric(1e9*took, "ns/op")
			b.ReportMetric(rate/1e9, "Gweights/s")
			b.ReportMetric(moved*rate/1e9, "GB/s")
			b.ReportMetric(100*moved*rate/copied, "%copy")
		})
	}
	decode := func(m *bindings.Memory, w bindings.Weight) (func(bindings.Ops), []bindings.Tensor) {
		y := m.Act(bindings.BF16, out, in)
		return func(ops bindings.Ops) { ops.NF4Dequantize(y, w) }, nil
	}
	matvec := func(m *bindings.Memory, w bindings.Weight) (func(bindings.Ops), []bindings.Tensor) {
		x, y := m.Act(bindings.BF16, 1, in), m.Act(bindings.BF16, 1, out)
		return func(ops bindings.Ops) { ops.Linear(y, bindings.LinearArgs{X: x, W: w}) }, []bindings.Tensor{x}
	}
	bench("decode/bf16", true, 2.516, decode)
	bench("matvec/nf4", true, 2.516, matvec)
	bench("matvec/bf16", false, 2, matvec)
}

// copiedBytes are read and written by a copy.
const copiedBytes = 4 * copyPart
const copyPart = 64 << 20

// newCopies gives a copy of 128 MiB on two threads.
func newCopies() func() {
	var from, to [2][]byte
	for i := range from {
		from[i], to[i] = make([]byte, copyPart), make([]byte, copyPart)
		for j := 0; j < copyPart; j += 4096 {
			from[i][j], to[i][j] = 1, 1
		}
	}
	return func() {
		var wait sync.WaitGroup
		for i := range from {
			wait.Go(func() { copy(to[i], from[i]) })
		}
		wait.Wait()
	}
}

func seconds(work func()) float64 {
	began := time.Now()
	work()
	return time.Since(began).Seconds()
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

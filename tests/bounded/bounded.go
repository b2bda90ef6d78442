// Package bounded holds what a reader does with untrusted bytes to a bound of
// memory and of time, for fuzz targets and tests of hostile input.
package bounded

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// seconds of the processor that one input may take. An input is meant to end
// within one; the rest is for a fuzzer's counting of coverage.
const seconds = 10

// Run calls f and fails the test if f allocates more than limit MiB in all,
// freed or not. If f takes too much of the processor the process ends with the
// stacks of all goroutines, so that a fuzzer keeps the input.
func Run(t testing.TB, limit uint64, f func()) {
	t.Helper()
	start := processor()
	watch := make(chan struct{})
	defer close(watch)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-watch:
				return
			case <-tick.C:
				if used := processor() - start; used > factor*seconds {
					debug.SetTraceback("all")
					panic(fmt.Sprintf("one input took %.0f seconds of the processor and goes on", used))
				}
			}
		}
	}()
	before := allocated()
	f()
	if used := (allocated() - before) >> 20; used > factor*limit {
		t.Errorf("allocated %d MiB for one input; at most %d", used, factor*limit)
	}
}

// processor is the processor time of this process so far in seconds.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// allocated is how many bytes this process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

package bounded

import (
	"fmt"
	"os"
	"testing"
)

// Resident is the size of the process in memory, in bytes, for tests of what a
// long run must not grow by.
func Resident(t testing.TB) (n int64) {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	if _, err := fmt.Sscan(string(raw), &size, &n); err != nil {
		t.Fatal(err)
	}
	return n * int64(os.Getpagesize())
}

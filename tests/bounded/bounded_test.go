package bounded_test

import (
	"testing"

	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
)

// told notes whether a test failed.
type told struct {
	testing.TB
	failed bool
}

func (t *told) Helper()               {}
func (t *told) Errorf(string, ...any) { t.failed = true }

func TestRunCountsWhatIsFreed(t *testing.T) {
	var kept []byte
	for pieces, fails := range map[int]bool{2: false, 100: true} {
		seen := &told{TB: t}
		bounded.Run(seen, 4, func() {
			for range pieces {
				kept = make([]byte, 1<<20)
			}
		})
		assert.Equal(t, fails, seen.failed, "%d MiB in pieces of one", pieces)
	}
	assert.NotEmpty(t, kept)
}

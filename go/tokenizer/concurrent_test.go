package tokenizer_test

import (
	"sync"
	"testing"

	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConcurrentUse encodes and decodes from several goroutines at once, for
// the race detector too.
func TestConcurrentUse(t *testing.T) {
	f := load(t)
	for _, c := range f.Cases[:3] {
		tok, err := tokenizer.Parse(c.Tokenizer)
		require.NoError(t, err)
		want := make([]tokenizer.Encoding, len(f.Texts))
		for i, text := range f.Texts {
			want[i], err = tok.Encode(text, true)
			require.NoError(t, err)
		}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for i, text := range f.Texts {
					e, err := tok.Encode(text, true)
					assert.NoError(t, err)
					assert.Equal(t, want[i], e)
					_, err = tok.Decode(e.IDs, true)
					assert.NoError(t, err)
				}
			})
		}
		group.Wait()
	}
}

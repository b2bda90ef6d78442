package graft

import (
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAdapterNames: a name is a directory, or the end of one alone.
func TestAdapterNames(t *testing.T) {
	s := adapterSet{loaded: []Weighted{{"runs/a/adapter", 1}, {"runs/b/adapter/", 1}, {"adapter", 1}}, dora: make([]bool, 3)}
	for text, want := range map[string]generate.Mix{
		"a/adapter":                 {1, 0, 0},
		"b/adapter:0.5":             {0, 0.5, 0},
		"runs/b/adapter":            {0, 1, 0},
		"adapter":                   {0, 0, 1},
		"a/adapter:2,./adapter:0.5": {2, 0, 0.5},
	} {
		mix, err := s.mix(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, mix, text)
	}
	s.loaded = s.loaded[:2]
	_, err := s.mix("adapter")
	assert.ErrorContains(t, err, `adapter "adapter" is runs/a/adapter and runs/b/adapter/; name more of its path`)
	assert.Equal(t, 65, failure.Code(err))
	_, err = s.with(s.loaded, "adapter")
	assert.Equal(t, 65, failure.Code(err))
	_, err = s.mix("c/adapter")
	assert.Equal(t, 2, failure.Code(err))
}

package data_test

import (
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/stretchr/testify/assert"
)

func TestPackIsBestFitDecreasing(t *testing.T) {
	// Lengths cut to the size first, as in TRL's "bfd" golden example.
	assert.Equal(t, [][]int{{0}, {2, 3}, {1}}, data.Pack([]int{4, 2, 3, 1}, 4))
	assert.Equal(t, [][]int{{0}, {1, 2}}, data.Pack([]int{5, 2, 2}, 4))
	assert.Empty(t, data.Pack(nil, 4))
}

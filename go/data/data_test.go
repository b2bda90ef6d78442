package data_test

import (
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/stretchr/testify/assert"
)

// get is a value that must be there.
func get[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOrderIsAPermutation(t *testing.T) {
	for n := 1; n < 300; n++ {
		seen := make([]bool, n)
		p := data.Permutation{N: n, Seed: 42, Epoch: uint64(n % 3)}
		for i := range n {
			j := p.At(i)
			assert.False(t, seen[j], "n %d repeats %d", n, j)
			seen[j] = true
		}
	}
}

func TestFlattenNeverCrossesSequences(t *testing.T) {
	m := data.Flatten([]data.Row{
		{IDs: []int32{1, 2, 3}, Labels: []int32{1, data.Masked, 3}},
		{IDs: []int32{4, 5}, Labels: []int32{4, 5}},
	})
	assert.Equal(t, []int32{0, 3, 5}, m.Cu)
	assert.Equal(t, []int32{0, 1, 2, 0, 1}, m.Positions)
	assert.Equal(t, []int32{1, 3}, m.Rows)
	assert.Equal(t, []int32{3, 5}, m.Targets)
	assert.Equal(t, []float32{1, 1}, m.Weights)
}

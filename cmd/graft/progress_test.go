package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestProgressLines: nothing of short work, then a line now and then, by its
// name, whether the whole is known or not, and none at the end.
func TestProgressLines(t *testing.T) {
	var lines []string
	now := time.Unix(0, 0)
	tell := written(func(line string) { lines = append(lines, line) }, func() time.Time { return now })
	for i := range int64(100) {
		tell("merging", i, 100)
		now = now.Add(10 * time.Millisecond)
	}
	tell("merging", 100, 100)
	assert.Empty(t, lines, "done within a second")
	for i := range int64(101) {
		now = now.Add(100 * time.Millisecond)
		tell("comparing", i, 100)
	}
	for i := range int64(40) {
		now = now.Add(100 * time.Millisecond)
		tell("tokenising", 512*i, 0)
	}
	assert.Equal(t, []string{"comparing: 20 %", "comparing: 70 %", "tokenising: 10240"}, lines)
}

//go:build race

package bounded

// factor is what the race detector costs: time, and sync.Pool forgets at random.
const factor = 8

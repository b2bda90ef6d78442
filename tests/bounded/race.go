//go:build race

package bounded

// factor is for sync.Pool, which forgets at random under the race detector.
const factor = 8

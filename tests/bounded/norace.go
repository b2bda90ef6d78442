//go:build !race

package bounded

const factor = 1

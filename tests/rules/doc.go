// Package rules has no code, only tests of how the repository is built: which
// package may import which, that packages and headers stand on their own, and
// that the C interface, its Go methods and the table of operations name the
// same things. See docs/architecture.md for the reasons.
package rules

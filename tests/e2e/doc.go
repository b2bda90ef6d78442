// Package e2e uses the program as a person does: the built binary, its
// arguments, its streams and its exit codes. What a single room promises is
// tested in that room; here is what only the whole can break.
package e2e

// Package csrc holds all native source, and embeds what Go compiles: so that
// go build notices an edit and go mod vendor keeps the files. There is nothing
// to call; bindings/native is what compiles it, by the include lines of
//
//	bindings/native/unity_cpu.cc
package csrc

import "embed"

//go:embed core cpu include
var _ embed.FS

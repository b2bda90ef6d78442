// Package native is the device that computes now: the CPU, whose C++ sources
// (csrc) this package compiles, or a GPU through libgraft_cuda.so, which it
// opens at run time. Both are the same table of C functions, so there is one
// path from here on. It is the only package that uses cgo; no C type leaves it.
//
//	backend := native.CPU(native.Options{Threads: 2})
//	device, err := backend.Open(plan)
//	program, err := device.Prepare("step", func(o bindings.Ops) { o.Add(y, a, b) })
//	err = program.Launch()
//
// A build without cgo has the same functions; they say that there is no device.
package native

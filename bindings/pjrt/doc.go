// Package pjrt runs programs on any accelerator that has a PJRT plugin: the
// operations of a program become one StableHLO module (package trace), the
// plugin compiles it, and buffers of the plugin stand for the slots of memory.
// It is the only importer of the PJRT library.
//
//	backend, err := pjrt.Open(pjrt.Options{Plugin: "/opt/pjrt/xla_cpu_pjrt.so"})
//	device, err := backend.Open(plan)
//
// What differs from a device that computes at once:
//
//   - Memory of temporaries is the compiler's. The plan is ours for what
//     programs hold between launches; bindings.Compiler tells what the compiler
//     takes beside it.
//   - Prepare compiles, which takes seconds. Equal modules are compiled once.
//   - A buffer is made when something is uploaded or a program first writes it.
//     Buffers that a program writes are donated, so they exist once.
//   - Values are not checked: a token id outside of the vocabulary is the
//     nearest row.
package pjrt

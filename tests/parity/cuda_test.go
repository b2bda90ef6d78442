//go:build cuda

package parity_test

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
)

// With the tag cuda every fixture is compared with the device of the library that
// GRAFT_CUDA_LIB names in place of the CPU: a GPU, or the same kernels on the host.
func init() {
	single.name, half.name = "cuda float32", "cuda bfloat16"
	single.open = func() bindings.Backend {
		b, err := native.CUDA(native.Options{})
		if err != nil {
			panic(err)
		}
		return b
	}
	half.open = single.open
}

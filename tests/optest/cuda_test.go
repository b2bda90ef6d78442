//go:build cuda

package optest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
)

// withoutTwin are the operations of the table that CUDA does not have yet.
var withoutTwin = []string{}

// TestCUDA runs the table over the library that GRAFT_CUDA_LIB names: that of a
// GPU, or the same kernels on the host (make test-cuda-table).
func TestCUDA(t *testing.T) {
	backend, err := native.CUDA(native.Options{})
	require.NoError(t, err)
	Run(t, backend, Options{Missing: withoutTwin})
}

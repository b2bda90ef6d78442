//go:build cuda

package optest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/reference"
)

// withoutTwin are the operations of the table that CUDA does not have yet.
var withoutTwin = []string{}

// TestCUDA runs the table over the library that GRAFT_CUDA_LIB names: that of a
// GPU, or the same kernels on the host (make test-cuda-table).
func TestCUDA(t *testing.T) {
	backend, err := native.CUDA(native.Options{})
	require.NoError(t, err)
	got, want := map[string][]byte{}, map[string][]byte{}
	Run(t, backend, Options{Missing: withoutTwin, Results: got})
	Run(t, reference.New(reference.Float32), Options{Only: defined, Results: want})
	require.NotEmpty(t, want)
	for name, bits := range want {
		require.Equal(t, bits, got[name], name)
	}
}

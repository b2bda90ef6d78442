//go:build cgo

package optest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/pjrt"
)

// TestPJRT runs the table on the plugin that GRAFT_PJRT_PLUGIN names
// (make test-pjrt).
func TestPJRT(t *testing.T) {
	plugin := os.Getenv("GRAFT_PJRT_PLUGIN")
	if plugin == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	backend, err := pjrt.Open(pjrt.Options{Plugin: plugin})
	require.NoError(t, err)
	t.Log(backend.Info())
	Run(t, backend, Options{Together: true, Flushes: true, Only: os.Getenv("ONLY")})
	require.Zero(t, pjrt.Live(), "every buffer is freed")
}

package bench

import (
	"os"
	"testing"

	"github.com/graftlm/graft/bindings/pjrt"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/stretchr/testify/require"
)

// BenchmarkStepPJRT is the step on the plugin that GRAFT_PJRT_PLUGIN names.
func BenchmarkStepPJRT(b *testing.B) {
	plugin := os.Getenv("GRAFT_PJRT_PLUGIN")
	if plugin == "" {
		b.Skip("GRAFT_PJRT_PLUGIN is not set")
	}
	backend, err := pjrt.Open(pjrt.Options{Plugin: plugin})
	require.NoError(b, err)
	b.Run("smollm2-135m/lora/f32/4x256", func(b *testing.B) { step(b, backend, smol, 4, r16, nn.Float32, model.QuantNone) })
}

package train_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/require"
)

func leUint64(b []byte) uint64     { return binary.LittleEndian.Uint64(b) }
func putUint64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// lossOf evaluates without rounding to float32.
func lossOf(t *testing.T, e *train.Engine, b []data.MicroBatch) float64 {
	t.Helper()
	_, err := e.Evaluate(b)
	require.NoError(t, err)
	raw := make([]byte, e.Placed.Report.Tensor().Bytes())
	require.NoError(t, e.Device().Download(raw, e.Placed.Report.Tensor()))
	return math.Float64frombits(leUint64(raw))
}

// gradient reads the gradient of a parameter in float64.
func gradient(t *testing.T, e *train.Engine, p *nn.Param) []float64 {
	t.Helper()
	raw := make([]byte, p.Grad.Bytes())
	require.NoError(t, e.Device().Download(raw, p.Grad))
	g := make([]float64, p.Len())
	for i := range g {
		g[i] = math.Float64frombits(leUint64(raw[8*i:]))
	}
	return g
}

package reference

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/graftlm/graft/bindings"
)

// TestSmoothingIsThatOfPyTorch has the numbers of
//
//	loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")(z, t)
//	loss += z_loss * (torch.logsumexp(z, 1) ** 2).sum()
//
// of PyTorch 2.15 in float64, and the gradients of z.
func TestSmoothingIsThatOfPyTorch(t *testing.T) {
	z := []float64{0.5, -1.25, 2, 0, 1.5, -0.75, 3, 0.25, -2, 1}
	for _, c := range []struct {
		zLoss, loss float64
		dz          []float64
	}{
		{0, 3.116653465010686, []float64{
			0.09135515828904389, -0.0006493750205643217, -0.42094080417022683, 0.04754031761945851, 0.28269470328228863,
			-0.0008723989071335002, 0.7933262945342671, 0.031994210472752374, -0.014519850534465535, -0.8099282555654204}},
		{0.01, 3.292109666739613, []float64{
			0.09735726938410066, 0.0003936354934513638, -0.39404120847655605, 0.05118078202161182, 0.2990101328043739,
			0.00035430116799626534, 0.845486909018343, 0.03532872699594696, -0.014168395078632101, -0.8028690840304222}},
	} {
		rows, sum := slices.Clone(z), 0.0
		for i, target := range []int{2, 4} {
			loss, _ := lossRow(rows[5*i:5*i+5], target, 1, bindings.CrossEntropyArgs{LabelSmoothing: 0.1, ZLoss: c.zLoss})
			sum += loss
		}
		assert.InDelta(t, c.loss, sum, 1e-14)
		assert.InDeltaSlice(t, c.dz, rows, 1e-15)
	}
}

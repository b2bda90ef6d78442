package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// ClassificationLoss goes row by row; see bindings.ClassLoss for the formulas.
func (d *device[F]) ClassificationLoss(loss, dlogits bindings.Tensor, a bindings.ClassificationArgs) {
	const op = "classification_loss"
	d.types.ClassificationLoss(loss, dlogits, a)
	if !d.begin(op, loss, dlogits, a.Logits, a.Classes, a.Values, a.Weights, a.Inverse) {
		return
	}
	z, n := d.load(a.Logits), a.Logits.Cols()
	labels, values, weights := d.ints(a.Classes), d.load(a.Values), d.load(a.Weights)
	gradient := d.load(dlogits)
	var total, right float64
	for i, weight := range weights {
		row, slope := make([]float64, n), make([]float64, n)
		for c := range n {
			row[c] = float64(z[i*n+c])
		}
		var l float64
		var hit bool
		switch {
		case weight == 0:
		case a.Loss == bindings.SoftmaxCrossEntropy:
			if !d.inRange(op, "classes", labels[i:i+1], n) {
				return
			}
			copy(slope, row)
			l, hit = lossRow(slope, int(labels[i]), 1, bindings.CrossEntropyArgs{})
		case a.Loss == bindings.BinaryCrossEntropy:
			l, hit = binaryRow(slope, row, values[i*n:])
		default:
			for c, x := range row {
				e := x - float64(values[i*n+c])
				l, slope[c] = l+e*e/float64(n), 2*e/float64(n)
			}
		}
		scale := float64(weight) * float64(d.load(a.Inverse)[0])
		total += scale * l
		if hit {
			right += float64(weight)
		}
		for c := range gradient[:min(n, len(gradient))] {
			gradient[i*n+c] = F(scale * slope[c])
		}
	}
	d.add(loss, []float64{total, right})
	d.store(dlogits, gradient)
}

// binaryRow writes the slope of the mean binary cross-entropy of a row.
func binaryRow[F real](slope, z []float64, values []F) (loss float64, hit bool) {
	n := float64(len(z))
	hit = true
	for c, x := range z {
		v := float64(values[c])
		loss += (max(x, 0) - x*v + math.Log1p(math.Exp(-math.Abs(x)))) / n
		slope[c] = (sigmoid(x)*(1-v) - sigmoid(-x)*v) / n
		hit = hit && (x > 0) == (v > 0.5)
	}
	return loss, hit
}

package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// LinearCrossEntropy goes row by row. With p = softmax(z), L = logsumexp(z) and
// the smoothed target q = (1−ε)·onehot + ε/V the gradient of the loss by z is
// weight·inverse·(p·(1 + 2λL) − q), times 1 − (z/c)² under a soft cap.
func (d *device[F]) LinearCrossEntropy(loss, dx, dw bindings.Tensor, a bindings.CrossEntropyArgs) {
	const op = "linear_cross_entropy"
	d.types.LinearCrossEntropy(loss, dx, dw, a)
	more := parts(bindings.LinearArgs{X: a.X, W: a.W, Scratch: a.Scratch}, loss, dx, dw, a.Rows, a.Targets, a.Weights, a.Inverse)
	if !d.begin(op, more...) {
		return
	}
	d.poison(a.Scratch)
	x, h, v, t := d.load(a.X), a.W.In, a.W.Out, a.X.DType
	var rows, targets []int32
	var weights []F
	for i, w := range d.load(a.Weights) {
		if w != 0 { // the others fill the bucket and say nothing
			rows, targets, weights = append(rows, d.ints(a.Rows)[i]), append(targets, d.ints(a.Targets)[i]), append(weights, w)
		}
	}
	if !d.inRange(op, "rows", rows, a.X.Rows()) || !d.inRange(op, "targets", targets, v) {
		return
	}
	z := make([]float64, len(rows)*v) // logits, then their gradients
	for o := range v {
		w := d.row(a.W, o, t)
		for i, r := range rows {
			z[i*v+o] = dot(w, x[int(r)*h:])
		}
	}
	var total, correct float64
	for i := range rows {
		scale := float64(weights[i]) * float64(d.load(a.Inverse)[0])
		l, hit := lossRow(z[i*v:(i+1)*v], int(targets[i]), scale, a)
		total += scale * l
		if hit {
			correct += float64(weights[i])
		}
	}
	d.add(loss, []float64{total, correct})
	for i := range z {
		z[i] = float64(round(t, F(z[i])))
	}
	if dx.Valid() {
		sum := make([]float64, a.X.Len())
		for o := range v {
			w := d.row(a.W, o, t)
			for i, r := range rows {
				axpy(sum[int(r)*h:(int(r)+1)*h], z[i*v+o], w)
			}
		}
		to := d.load(dx)
		put(to, sum, bindings.Set)
		d.store(dx, to)
	}
	if dw.Valid() {
		sum := make([]float64, v*h)
		for o := range v {
			for i, r := range rows {
				axpy(sum[o*h:(o+1)*h], z[i*v+o], x[int(r)*h:])
			}
		}
		d.add(dw, sum)
	}
}

// lossRow turns logits into the gradient of scale·loss; it returns the loss and
// whether the target is the (first) largest logit.
func lossRow(z []float64, target int, scale float64, a bindings.CrossEntropyArgs) (loss float64, hit bool) {
	slope := make([]float64, len(z))
	best := 0
	for o := range z {
		slope[o] = scale
		if a.SoftCap > 0 {
			t := math.Tanh(z[o] / a.SoftCap)
			z[o], slope[o] = a.SoftCap*t, scale*(1-t*t)
		}
		if z[o] > z[best] {
			best = o
		}
	}
	big, sum, all := z[best], 0.0, 0.0
	for _, v := range z {
		sum += math.Exp(v - big)
		all += v
	}
	lse, even := big+math.Log(sum), a.LabelSmoothing/float64(len(z))
	loss = lse - (1-a.LabelSmoothing)*z[target] - even*all + a.ZLoss*lse*lse
	for o := range z {
		d := math.Exp(z[o]-lse)*(1+2*a.ZLoss*lse) - even
		if o == target {
			d -= 1 - a.LabelSmoothing
		}
		z[o] = slope[o] * d
	}
	return loss, best == target
}

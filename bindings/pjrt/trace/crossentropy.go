package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// LinearCrossEntropy goes through the target rows in chunks, one after the
// other, so that only the logits of one exist. With p = softmax(z), L =
// logsumexp(z) and the smoothed target q = (1−ε)·onehot + ε/V the gradient of the
// loss by z is weight·inverse·(p·(1 + 2λL) − q), times 1 − (z/c)² under a soft cap.
func (d *Tracer) LinearCrossEntropy(loss, dx, dw bindings.Tensor, a bindings.CrossEntropyArgs) {
	d.begin("linear_cross_entropy")
	x, n := d.get(a.X), a.Rows.Len()
	rows, targets, weights := d.get(a.Rows), d.get(a.Targets), d.get(a.Weights)
	w := d.weight(a.W, x)
	scale := d.mul(weights, d.spread(d.at(d.get(a.Inverse), 0), weights.dims))
	lost, hits := d.fill(0, "f32"), d.fill(0, "f32")
	var dxs []value
	chunk := max(1, d.profile.LogitsRows(n, a.W.Out))
	for from := 0; from < n; from += chunk {
		to := min(from+chunk, n)
		cut := func(v value) value { return d.cut(v, 0, from, to) }
		xs := d.after(d.rows(x, cut(rows)), lost)
		l, hit, dz := d.rowLosses(d.matmul(xs, w, 1, 1), cut(targets), cut(scale), a, dx.Valid() || dw.Valid())
		lost = d.add(lost, d.total(d.mul(l, cut(scale))))
		hits = d.add(hits, d.total(d.choose(hit, cut(weights), d.num(0, cut(weights)))))
		if dz.name == "" {
			continue
		}
		dz = d.convert(dz, x.elem)
		if dx.Valid() {
			dxs = append(dxs, d.matmul(dz, w, 1, 0))
		}
		if dw.Valid() {
			d.accumulate(dw, d.matmul(dz, xs, 0, 0))
		}
	}
	d.accumulate(loss, d.concat(0, d.reshape(lost, 1), d.reshape(hits, 1)))
	if dx.Valid() {
		all := d.fill(0, "f32", dx.Shape.Dims()...)
		if len(dxs) > 0 {
			all = d.scatter(all, d.index(a.Rows), d.concat(0, dxs...), true)
		}
		d.set(dx, all)
	}
}

// rowLosses turns logits [n, V] into the loss of each row, whether the target
// is the (first) largest logit, and, if wanted, the gradient by the logits of
// scale·loss.
func (d *Tracer) rowLosses(z, targets, scale value, a bindings.CrossEntropyArgs, gradient bool) (loss, hit, dz value) {
	slope := d.spread(scale, z.dims, 0)
	if a.SoftCap > 0 {
		t := d.op("tanh", d.scale(z, 1/a.SoftCap))
		z = d.scale(t, a.SoftCap)
		slope = d.mul(slope, d.sub(d.num(1, t), d.mul(t, t)))
	}
	place := d.iota("i32", 1, z.dims...)
	target := d.compare("EQ", place, d.spread(targets, z.dims, 0))
	zero, big := d.num(0, z), d.max(z, 1)
	lse := d.add(big, d.op("log", d.sum(d.op("exponential", d.sub(z, d.spread(big, z.dims, 0))), 1)))
	loss = d.sub(lse, d.sum(d.choose(target, z, zero), 1))
	even := a.LabelSmoothing / float64(z.dims[1])
	if a.LabelSmoothing > 0 {
		loss = d.add(loss, d.sub(d.scale(d.sum(d.choose(target, z, zero), 1), a.LabelSmoothing), d.scale(d.sum(z, 1), even)))
	}
	if a.ZLoss > 0 {
		loss = d.add(loss, d.scale(d.mul(lse, lse), a.ZLoss))
	}
	largest := d.compare("GE", z, d.spread(big, z.dims, 0))
	first := d.fold(d.choose(largest, place, d.num(math.MaxInt32, place)), "minimum", math.MaxInt32, 1)
	hit = d.compare("EQ", first, targets)
	if gradient {
		p := d.op("exponential", d.sub(z, d.spread(lse, z.dims, 0)))
		if a.ZLoss > 0 {
			grown := d.scale(lse, 2*a.ZLoss)
			p = d.mul(p, d.spread(d.add(grown, d.num(1, grown)), z.dims, 0))
		}
		others := zero
		if even > 0 {
			others = d.num(even, z)
		}
		dz = d.mul(slope, d.sub(p, d.choose(target, d.num(1-a.LabelSmoothing+even, z), others)))
	}
	return loss, hit, dz
}

package trace

import "github.com/graftlm/graft/bindings"

// LinearCrossEntropy goes through the target rows in chunks, one after the
// other, so that only the logits of one exist. They lie as [V, n]: the product
// W·xᵀ is three times as fast as x·Wᵀ with the CPU plugin, whose products divide
// the rows of the result among the cores. With p = softmax(z), L = logsumexp(z)
// and the smoothed target q = (1−ε)·onehot + ε/V the gradient of the loss by z
// is weight·inverse·(p·(1 + 2λL) − q), times 1 − (z/c)² under a soft cap.
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
		l, hit, dz := d.losses(d.matmul(w, xs, 1, 1), cut(targets), cut(scale), a, dx.Valid() || dw.Valid())
		lost = d.add(lost, d.total(d.mul(l, cut(scale))))
		hits = d.add(hits, d.total(d.choose(hit, cut(weights), d.num(0, cut(weights)))))
		if dz.name == "" {
			continue
		}
		dz = d.convert(dz, x.elem)
		if dx.Valid() {
			dxs = append(dxs, d.matmul(dz, w, 0, 0))
		}
		if dw.Valid() {
			d.accumulate(dw, d.matmul(dz, xs, 1, 0))
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

// losses turns logits [V, n], one column a row, into the loss of each, whether
// its target is the (first) largest logit, and, if wanted, the gradient by the
// logits of scale·loss.
func (d *Tracer) losses(z, targets, scale value, a bindings.CrossEntropyArgs, gradient bool) (loss, hit, dz value) {
	slope := d.spread(scale, z.dims, 1)
	if a.SoftCap > 0 {
		t := d.op("tanh", d.scale(z, 1/a.SoftCap))
		z = d.scale(t, a.SoftCap)
		slope = d.mul(slope, d.sub(d.num(1, t), d.mul(t, t)))
	}
	across := func(v value) value { return d.spread(v, z.dims, 1) }
	vocab, n := z.dims[0], z.dims[1]
	big := d.max(z, 0)
	e := d.op("exponential", d.sub(z, across(big)))
	sum := d.sum(e, 0)
	lse := d.add(big, d.op("log", sum))
	inside := d.op("clamp", d.num(0, targets), targets, d.num(float64(vocab-1), targets))
	at := d.add(d.scale(inside, float64(n)), d.iota("i32", 0, n))
	target := d.rows(d.reshape(z, vocab*n), at)
	loss = d.sub(lse, target)
	even := a.LabelSmoothing / float64(vocab)
	if a.LabelSmoothing > 0 {
		loss = d.add(loss, d.sub(d.scale(target, a.LabelSmoothing), d.scale(d.sum(z, 0), even)))
	}
	if a.ZLoss > 0 {
		loss = d.add(loss, d.scale(d.mul(lse, lse), a.ZLoss))
	}
	place := d.iota("i32", 0, z.dims...)
	earlier := d.op("and", d.compare("LT", place, across(inside)), d.compare("GE", z, across(big)))
	hit = d.op("and", d.compare("GE", target, big), d.op("not", d.fold(earlier, "or", 0, 0)))
	if gradient {
		share := d.div(d.num(1, sum), sum)
		if a.ZLoss > 0 {
			grown := d.scale(lse, 2*a.ZLoss)
			share = d.mul(share, d.add(grown, d.num(1, grown)))
		}
		others := d.num(even, z)
		mine := d.compare("EQ", place, across(inside))
		dz = d.mul(slope, d.sub(d.mul(e, across(share)), d.choose(mine, d.num(1-a.LabelSmoothing+even, z), others)))
	}
	return loss, hit, dz
}

package trace

import "github.com/graftlm/graft/bindings"

// ClassificationLoss goes over all rows at once; see bindings.ClassLoss for the
// formulas. Logits of classes are few, so it is float64. What a row of weight zero says counts for nothing, even if it is no
// number.
func (d *Tracer) ClassificationLoss(loss, dlogits bindings.Tensor, a bindings.ClassificationArgs) {
	d.begin("classification_loss")
	if a.Logits.Rows() == 0 {
		return
	}
	exact := func(t bindings.Tensor) value { return d.convert(d.get(t), "f64") }
	z, weights, c := exact(a.Logits), exact(a.Weights), float64(a.Logits.Cols())
	scale := d.mul(weights, d.spread(d.at(exact(a.Inverse), 0), weights.dims))
	by := d.spread(scale, z.dims, 0)
	var lost, hit, slope value
	switch a.Loss {
	case bindings.SoftmaxCrossEntropy:
		lost, hit, slope = d.losses(d.transpose(z, 1, 0), d.get(a.Classes), scale, bindings.CrossEntropyArgs{}, true)
		slope = d.transpose(slope, 1, 0)
	case bindings.BinaryCrossEntropy:
		v, zero := exact(a.Values), d.num(0, z)
		one := d.num(1, z)
		tail := d.op("log_plus_one", d.op("exponential", d.op("negate", d.op("abs", z))))
		each := d.add(d.sub(d.op("maximum", z, zero), d.mul(z, v)), tail)
		lost = d.scale(d.sum(each, 1), 1/c)
		slope = d.sub(d.mul(d.op("logistic", z), d.sub(one, v)), d.mul(d.op("logistic", d.op("negate", z)), v))
		slope = d.mul(by, d.scale(slope, 1/c))
		apart := d.op("xor", d.compare("GT", z, zero), d.compare("GT", v, d.num(0.5, v)))
		wrong := d.fold(d.convert(apart, "i32"), "add", 0, 1)
		hit = d.compare("EQ", wrong, d.num(0, wrong))
	default:
		e := d.sub(z, exact(a.Values))
		lost = d.scale(d.sum(d.mul(e, e), 1), 1/c)
		slope = d.mul(by, d.scale(e, 2/c))
		hit = d.compare("NE", weights, weights)
	}
	zero := d.num(0, weights)
	counts := d.compare("NE", weights, zero)
	total := d.total(d.choose(counts, d.mul(lost, scale), zero))
	right := d.total(d.choose(d.op("and", counts, hit), weights, zero))
	d.accumulate(loss, d.wide(d.concat(0, d.reshape(total, 1), d.reshape(right, 1))))
	if dlogits.Valid() {
		d.set(dlogits, d.choose(d.spread(counts, z.dims, 0), slope, d.num(0, slope)))
	}
}

package trace

import "github.com/graftlm/graft/bindings"

func (d *Tracer) RMSNorm(y, sum, rstd bindings.Tensor, a bindings.NormArgs) {
	d.begin("rms_norm")
	x := d.wide(d.get(a.X))
	if sum.Valid() {
		d.set(sum, d.add(x, d.wide(d.get(a.Residual))))
		x = d.wide(d.get(sum))
	}
	mean := d.scale(d.sum(d.mul(x, x), 1), 1/float64(a.X.Cols()))
	r := d.div(d.num(1, mean), d.op("sqrt", d.add(mean, d.num(a.Eps, mean))))
	d.set(rstd, r)
	n := d.mul(x, d.spread(r, x.dims, 0))
	if !a.UnitOffset { // rounded before the weight, as transformers has it
		n = d.wide(d.convert(n, elem(y.DType)))
	}
	d.set(y, d.mul(n, d.spread(d.normWeight(a), x.dims, 1)))
}

// RMSNormBackward: with x̂ = x·rstd and g = dy·w, dx = rstd·(g − x̂·mean(g·x̂)),
// dw = Σ dy·x̂ over the rows.
func (d *Tracer) RMSNormBackward(dx bindings.Tensor, how bindings.Write, dw, dy, rstd bindings.Tensor, a bindings.NormArgs) {
	d.begin("rms_norm_backward")
	g := d.wide(d.get(dy))
	x := d.after(d.wide(d.get(a.X)), g) // x̂ is computed anew, not kept from the forward pass
	r := d.spread(d.get(rstd), x.dims, 0)
	n := d.mul(x, r)
	if dw.Valid() {
		rounded := n
		if !a.UnitOffset {
			rounded = d.wide(d.convert(n, elem(a.X.DType)))
		}
		d.accumulate(dw, d.sum(d.mul(g, rounded), 0))
	}
	if dx.Valid() {
		g = d.mul(g, d.spread(d.normWeight(a), x.dims, 1))
		mean := d.scale(d.sum(d.mul(g, n), 1), 1/float64(a.X.Cols()))
		d.write(dx, how, d.mul(r, d.sub(g, d.mul(n, d.spread(mean, x.dims, 0)))))
	}
}

func (d *Tracer) normWeight(a bindings.NormArgs) value {
	w := d.wide(d.get(a.W))
	if a.UnitOffset {
		w = d.add(w, d.num(1, w))
	}
	return w
}

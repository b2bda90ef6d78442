package trace

import "github.com/graftlm/graft/bindings"

func (d *Tracer) LayerNorm(y, sum, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	d.begin("layer_norm")
	x, h := d.wide(d.get(a.X)), float64(a.X.Cols())
	if sum.Valid() {
		d.set(sum, d.add(x, d.wide(d.get(a.Residual))))
		x = d.wide(d.get(sum))
	}
	m := d.scale(d.sum(x, 1), 1/h)
	from := d.sub(x, d.spread(m, x.dims, 0))
	variance := d.scale(d.sum(d.mul(from, from), 1), 1/h)
	r := d.div(d.num(1, variance), d.op("sqrt", d.add(variance, d.num(a.Eps, variance))))
	d.set(mean, m)
	d.set(rstd, r)
	n := d.mul(from, d.spread(r, x.dims, 0))
	d.set(y, d.add(d.mul(n, d.spread(d.wide(d.get(a.W)), x.dims, 1)), d.spread(d.wide(d.get(a.Bias)), x.dims, 1)))
}

// LayerNormBackward: with x̂ = (x − mean)·rstd and g = dy·w,
// dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), dw = Σ dy·x̂ and dbias = Σ dy over the rows.
func (d *Tracer) LayerNormBackward(dx bindings.Tensor, how bindings.Write, dw, dbias, dy, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	d.begin("layer_norm_backward")
	g := d.wide(d.get(dy))
	x := d.after(d.wide(d.get(a.X)), g)
	r := d.spread(d.get(rstd), x.dims, 0)
	n := d.mul(d.sub(x, d.spread(d.get(mean), x.dims, 0)), r)
	if dw.Valid() {
		d.accumulate(dw, d.sum(d.mul(g, n), 0))
	}
	if dbias.Valid() {
		d.accumulate(dbias, d.sum(g, 0))
	}
	if !dx.Valid() {
		return
	}
	g = d.mul(g, d.spread(d.wide(d.get(a.W)), x.dims, 1))
	average := func(v value) value { return d.spread(d.scale(d.sum(v, 1), 1/float64(a.X.Cols())), x.dims, 0) }
	d.write(dx, how, d.mul(r, d.sub(d.sub(g, average(g)), d.mul(n, average(d.mul(g, n))))))
}

package trace

import "github.com/graftlm/graft/bindings"

func (d *Tracer) Dropout(y bindings.Tensor, how bindings.Write, x bindings.Tensor, p bindings.Dropout, rest bool) {
	d.begin("dropout")
	v := d.wide(d.get(x))
	kept := d.drop(v, p, v)
	if rest {
		kept = d.sub(v, kept)
	}
	d.write(y, how, kept)
}

func (d *Tracer) WeightNorm(norm bindings.Tensor, w bindings.Weight, a, b bindings.Tensor, scale float64) {
	d.begin("weight_norm")
	low := d.get(a)
	whole := d.add(d.weight(w, low), d.scale(d.matmul(d.get(b), low, 1, 0), scale))
	d.set(norm, d.op("sqrt", d.sum(d.mul(whole, whole), 1)))
}

// lengthened is 1 + gate·(m/norm − 1) for each token and column of z.
func (d *Tracer) lengthened(a bindings.MagnitudeArgs, dims []int) value {
	m := d.get(a.M)
	change := d.spread(d.sub(d.div(m, d.get(a.Norm)), d.num(1, m)), dims, 1)
	if a.Gate.Valid() {
		change = d.mul(change, d.spread(d.get(a.Gate), dims, 0))
	}
	return d.add(change, d.num(1, change))
}

func (d *Tracer) Magnitude(y bindings.Tensor, a bindings.MagnitudeArgs) {
	d.begin("magnitude")
	z := d.wide(d.get(a.Z))
	out := d.mul(z, d.lengthened(a, z.dims))
	if a.Residual.Valid() {
		out = d.add(d.wide(d.get(a.Residual)), out)
	}
	if a.Bias.Valid() {
		out = d.add(out, d.spread(d.wide(d.get(a.Bias)), z.dims, 1))
	}
	d.set(y, out)
}

// MagnitudeBackward: dm = Σ gate·dy·z / norm over the tokens.
func (d *Tracer) MagnitudeBackward(dz, dm, dy bindings.Tensor, a bindings.MagnitudeArgs) {
	d.begin("magnitude_backward")
	g := d.wide(d.get(dy))
	if dm.Valid() {
		part := d.mul(g, d.wide(d.get(a.Z)))
		if a.Gate.Valid() {
			part = d.mul(part, d.spread(d.get(a.Gate), part.dims, 0))
		}
		d.accumulate(dm, d.div(d.sum(part, 0), d.get(a.Norm)))
	}
	if dz.Valid() {
		d.set(dz, d.mul(g, d.lengthened(a, g.dims)))
	}
}

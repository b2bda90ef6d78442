package trace

import "github.com/graftlm/graft/bindings"

// Linear is one product, [x | xa]·[W | B]ᵀ: of a sum of products a compiler
// keeps both until the backward pass, and adds them wherever it reads y.
func (d *Tracer) Linear(y bindings.Tensor, l bindings.LinearArgs) {
	d.begin("linear")
	x := d.get(l.X)
	in, w := []value{x}, []value{d.weight(l.W, x)}
	for _, a := range l.Adapters {
		d.set(a.XA, d.gated(a, d.scale(d.matmul(d.dropped(l.X, a.Drop, x), d.factor(a.A, x), 1, 1), a.Scale)))
		in, w = append(in, d.get(a.XA)), append(w, d.factor(a.B, x))
	}
	out := d.matmul(d.concat(1, in...), d.concat(1, w...), 1, 1)
	if l.Bias.Valid() {
		out = d.add(out, d.spread(d.wide(d.get(l.Bias)), out.dims, 1))
	}
	d.set(y, out)
}

// LinearBackward: dx = dy·W + drop'(ds·A) with ds = scale·dy·B; dA = dsᵀ·drop(x),
// dB = dyᵀ·xa, dW = dyᵀ·x, dbias = Σ dy.
func (d *Tracer) LinearBackward(g bindings.LinearGrads, how bindings.Write, dy bindings.Tensor, l bindings.LinearArgs) {
	d.begin("linear_backward")
	gy := d.get(dy)
	if g.DBias.Valid() {
		d.accumulate(g.DBias, d.sum(d.wide(gy), 0))
	}
	if g.DW.Valid() {
		d.accumulate(g.DW, d.matmul(gy, d.get(l.X), 0, 0))
	}
	var dx value
	if g.DX.Valid() {
		dx = d.matmul(gy, d.weight(l.W, gy), 1, 0)
	}
	for n, a := range l.Adapters {
		if n < len(g.DB) && g.DB[n].Valid() {
			d.accumulate(g.DB[n], d.matmul(gy, d.get(a.XA), 0, 0))
		}
		da := n < len(g.DA) && g.DA[n].Valid()
		if !da && !g.DX.Valid() {
			continue
		}
		ds := d.convert(d.gated(a, d.scale(d.matmul(gy, d.factor(a.B, gy), 1, 0), a.Scale)), gy.elem)
		if da {
			d.accumulate(g.DA[n], d.matmul(ds, d.dropped(l.X, a.Drop, gy), 0, 0))
		}
		if g.DX.Valid() {
			part := d.convert(d.matmul(ds, d.factor(a.A, gy), 1, 0), gy.elem)
			dx = d.add(dx, d.drop(d.wide(part), a.Drop, gy))
		}
	}
	if g.DX.Valid() {
		d.write(g.DX, how, dx)
	}
}

// gated is v [T, r] with the adapter's weight for each token.
func (d *Tracer) gated(a bindings.LowRank, v value) value {
	if !a.Gate.Valid() {
		return v
	}
	return d.mul(v, d.convert(d.spread(d.get(a.Gate), v.dims, 0), v.elem))
}

// factor is A or B where a product uses it: in the type of the activations.
func (d *Tracer) factor(t bindings.Tensor, x value) value { return d.convert(d.get(t), x.elem) }

// dropped is the input of an adapter, in the type of the activations.
func (d *Tracer) dropped(x bindings.Tensor, p bindings.Dropout, when value) value {
	v := d.get(x)
	if p.P == 0 {
		return v
	}
	return d.convert(d.drop(d.wide(v), p, when), v.elem)
}

// weight is the matrix of a layer in the type of x. Four-bit codes are decoded
// once x is there; a compiler would decode every layer first.
func (d *Tracer) weight(w bindings.Weight, x value) value {
	if !w.NF4() {
		return d.convert(d.get(w.Data), x.elem)
	}
	return d.convert(d.nf4(w, d.after(d.get(w.Data), x)), x.elem)
}

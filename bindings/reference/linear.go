package reference

import (
	"slices"

	"github.com/graftlm/graft/bindings"
)

// parts lists the tensors of a linear layer that exist.
func parts(l bindings.LinearArgs, more ...bindings.Tensor) []bindings.Tensor {
	if !l.W.NF4() { // the parts of NF4 are f32 on every device
		more = append(more, l.W.Data)
	}
	more = append(more, l.X, l.Bias, l.Scratch)
	for _, a := range l.Adapters {
		more = append(more, a.A, a.B, a.XA, a.Drop.Seed, a.Gate)
	}
	return more
}

// dropped is x after dropout, rounded as a product uses it.
func (d *device[F]) dropped(x bindings.Tensor, p bindings.Dropout) []F {
	rows := slices.Clone(d.load(x))
	d.drop(rows, p)
	return rounded(x.DType, rows)
}

func (d *device[F]) Linear(y bindings.Tensor, l bindings.LinearArgs) {
	d.types.Linear(y, l)
	if !d.begin("linear", parts(l, y)...) {
		return
	}
	d.poison(l.Scratch)
	rows, in, out, t := l.X.Rows(), l.W.In, l.W.Out, l.X.DType
	x, to, bias := d.load(l.X), d.load(y), d.load(l.Bias)
	xas, bs := make([][]F, len(l.Adapters)), make([][]F, len(l.Adapters))
	for n, a := range l.Adapters {
		xas[n], bs[n] = d.adapterInput(a, l.X), rounded(t, d.load(a.B))
	}
	for o := range out {
		w := d.row(l.W, o, t)
		for i := range rows {
			s := dot(w, x[i*in:])
			if l.Bias.Valid() {
				s += float64(bias[o])
			}
			for n, a := range l.Adapters {
				r := a.A.Rows()
				s += dot(xas[n][i*r:(i+1)*r], bs[n][o*r:])
			}
			to[i*out+o] = F(s)
		}
	}
	d.store(y, to)
}

// adapterInput computes xa = gate·scale·drop(x)·Aᵀ and gives it as it was stored.
func (d *device[F]) adapterInput(a bindings.LowRank, x bindings.Tensor) []F {
	rows, in, r := x.Rows(), x.Cols(), a.A.Rows()
	xa, from, down := d.load(a.XA), d.dropped(x, a.Drop), rounded(x.DType, d.load(a.A))
	for i := range rows {
		for k := range r {
			xa[i*r+k] = d.gated(a, x.DType, i, a.Scale*dot(down[k*in:(k+1)*in], from[i*in:]))
		}
	}
	d.store(a.XA, xa)
	return xa
}

// gated is an element of row i of xa, or of its gradient, as it is stored: the
// gate multiplies what was rounded.
func (d *device[F]) gated(a bindings.LowRank, t bindings.DType, i int, v float64) F {
	x := round(t, F(v))
	if a.Gate.Valid() {
		x = round(t, x*d.load(a.Gate)[i])
	}
	return x
}

// LinearBackward: dx = dy·W + drop'(ds·A) with ds = gate·scale·dy·B; dA = dsᵀ·drop(x),
// dB = dyᵀ·xa, dW = dyᵀ·x, dbias = Σ dy.
func (d *device[F]) LinearBackward(g bindings.LinearGrads, how bindings.Write, dy bindings.Tensor, l bindings.LinearArgs) {
	d.types.LinearBackward(g, how, dy, l)
	all := append(parts(l, dy, g.DX, g.DW, g.DBias), g.DA...)
	if !d.begin("linear_backward", append(all, g.DB...)...) {
		return
	}
	d.poison(l.Scratch)
	rows, in, out, t := dy.Rows(), l.W.In, l.W.Out, dy.DType
	gy := d.load(dy)
	if g.DBias.Valid() {
		sum := make([]float64, out)
		for i := range rows {
			axpy(sum, 1, gy[i*out:])
		}
		d.add(g.DBias, sum)
	}
	if g.DW.Valid() {
		d.add(g.DW, outer(gy, d.load(l.X), rows, out, in))
	}
	var dx []float64
	if g.DX.Valid() {
		dx = make([]float64, rows*in)
		for o := range out {
			w := d.row(l.W, o, t)
			for i := range rows {
				axpy(dx[i*in:(i+1)*in], float64(gy[i*out+o]), w)
			}
		}
	}
	for n, a := range l.Adapters {
		r := a.A.Rows()
		if n < len(g.DB) && g.DB[n].Valid() {
			d.add(g.DB[n], outer(gy, d.load(a.XA), rows, out, r))
		}
		if dx == nil && (n >= len(g.DA) || !g.DA[n].Valid()) {
			continue
		}
		ds := make([]F, rows*r)
		up := rounded(t, d.load(a.B))
		for i := range rows {
			sum := make([]float64, r)
			for o := range out {
				axpy(sum, float64(gy[i*out+o]), up[o*r:])
			}
			for k := range sum {
				ds[i*r+k] = d.gated(a, t, i, a.Scale*sum[k])
			}
		}
		if n < len(g.DA) && g.DA[n].Valid() {
			d.add(g.DA[n], outer(ds, d.dropped(l.X, a.Drop), rows, r, in))
		}
		if dx != nil {
			d.adapterInputGrad(dx, ds, a, rows, in, t)
		}
	}
	if dx != nil {
		to := d.load(g.DX)
		put(to, dx, how)
		d.store(g.DX, to)
	}
}

// adapterInputGrad adds drop'(ds·A) to dx.
func (d *device[F]) adapterInputGrad(dx []float64, ds []F, a bindings.LowRank, rows, in int, t bindings.DType) {
	r, down, part := a.A.Rows(), rounded(t, d.load(a.A)), make([]F, rows*in)
	for i := range rows {
		sum := make([]float64, in)
		for k := range r {
			axpy(sum, float64(ds[i*r+k]), down[k*in:])
		}
		put(part[i*in:(i+1)*in], sum, bindings.Set)
	}
	d.drop(part, a.Drop)
	axpy(dx, 1, part)
}

// outer is aᵀ·b for a [rows, m] and b [rows, n].
func outer[F real](a, b []F, rows, m, n int) []float64 {
	sum := make([]float64, m*n)
	for i := range rows {
		for o := range m {
			axpy(sum[o*n:(o+1)*n], float64(a[i*m+o]), b[i*n:])
		}
	}
	return sum
}

// add adds sums to a gradient.
func (d *device[F]) add(t bindings.Tensor, sum []float64) {
	to := d.load(t)
	put(to, sum, bindings.Accumulate)
	d.store(t, to)
}

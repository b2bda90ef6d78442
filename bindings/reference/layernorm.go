package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

func (d *device[F]) LayerNorm(y, sum, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	d.types.LayerNorm(y, sum, mean, rstd, a)
	if !d.begin("layer_norm", y, sum, mean, rstd, a.X, a.Residual, a.W, a.Bias) {
		return
	}
	x, h := d.load(a.X), a.X.Cols()
	if sum.Valid() {
		total, residual := d.load(sum), d.load(a.Residual)
		for i := range total {
			total[i] = round(sum.DType, x[i]+residual[i])
		}
		d.store(sum, total)
		x = total
	}
	out, m, r, w, bias := d.load(y), d.load(mean), d.load(rstd), d.load(a.W), d.load(a.Bias)
	for t := range r {
		row := x[t*h : (t+1)*h]
		average, square := 0.0, 0.0
		for _, v := range row {
			average += float64(v) / float64(h)
		}
		for _, v := range row {
			square += (float64(v) - average) * (float64(v) - average) / float64(h)
		}
		m[t], r[t] = F(average), F(1/math.Sqrt(square+a.Eps))
		for i, v := range row {
			out[t*h+i] = F((float64(v)-float64(m[t]))*float64(r[t])*float64(w[i]) + float64(bias[i]))
		}
	}
	d.store(y, out)
	d.store(mean, m)
	d.store(rstd, r)
}

// LayerNormBackward: with x̂ = (x − mean)·rstd and g = dy·w,
// dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), dw = Σ dy·x̂ and dbias = Σ dy over the rows.
func (d *device[F]) LayerNormBackward(dx bindings.Tensor, how bindings.Write, dw, dbias, dy, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	d.types.LayerNormBackward(dx, how, dw, dbias, dy, mean, rstd, a)
	if !d.begin("layer_norm_backward", dx, dw, dbias, dy, mean, rstd, a.X, a.W) {
		return
	}
	x, g, m, r, w, h := d.load(a.X), d.load(dy), d.load(mean), d.load(rstd), d.load(a.W), a.X.Cols()
	normal := func(t, i int) float64 { return (float64(x[t*h+i]) - float64(m[t])) * float64(r[t]) }
	byWeight, byBias := make([]float64, h), make([]float64, h)
	for t := range r {
		for i := range h {
			byWeight[i] += float64(g[t*h+i]) * normal(t, i)
			byBias[i] += float64(g[t*h+i])
		}
	}
	if dw.Valid() {
		d.add(dw, byWeight)
	}
	if dbias.Valid() {
		d.add(dbias, byBias)
	}
	if !dx.Valid() {
		return
	}
	to, row := d.load(dx), make([]float64, h)
	for t := range r {
		average, along := 0.0, 0.0
		for i := range h {
			v := float64(g[t*h+i]) * float64(w[i])
			average += v / float64(h)
			along += v * normal(t, i) / float64(h)
		}
		for i := range h {
			row[i] = float64(r[t]) * (float64(g[t*h+i])*float64(w[i]) - average - normal(t, i)*along)
		}
		put(to[t*h:(t+1)*h], row, how)
	}
	d.store(dx, to)
}

package reference

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// offset is what is added to the weight of a norm.
func offset(a bindings.NormArgs) float64 {
	if a.UnitOffset {
		return 1
	}
	return 0
}

func (d *device[F]) RMSNorm(y, sum, rstd bindings.Tensor, a bindings.NormArgs) {
	d.types.RMSNorm(y, sum, rstd, a)
	if !d.begin("rms_norm", y, sum, rstd, a.X, a.Residual, a.W) {
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
	out, r, w := d.load(y), d.load(rstd), d.load(a.W)
	for t := range r {
		row := x[t*h : (t+1)*h]
		r[t] = F(1 / math.Sqrt(dot(row, row)/float64(h)+a.Eps))
		for i, v := range row {
			if a.UnitOffset {
				out[t*h+i] = F(float64(v) * float64(r[t]) * (1 + float64(w[i])))
			} else {
				out[t*h+i] = round(y.DType, v*r[t]) * w[i]
			}
		}
	}
	d.store(y, out)
	d.store(rstd, r)
}

// RMSNormBackward: with x̂ = x·rstd and g = dy·w, dx = rstd·(g − x̂·mean(g·x̂)),
// dw = Σ dy·x̂ over the rows.
func (d *device[F]) RMSNormBackward(dx bindings.Tensor, how bindings.Write, dw, dy, rstd bindings.Tensor, a bindings.NormArgs) {
	d.types.RMSNormBackward(dx, how, dw, dy, rstd, a)
	if !d.begin("rms_norm_backward", dx, dw, dy, rstd, a.X, a.W) {
		return
	}
	x, g, r, w, h := d.load(a.X), d.load(dy), d.load(rstd), d.load(a.W), a.X.Cols()
	if dw.Valid() {
		sum := make([]float64, h)
		for t := range r {
			for i := range h {
				n := x[t*h+i] * r[t]
				if !a.UnitOffset {
					n = round(a.X.DType, n)
				}
				sum[i] += float64(g[t*h+i]) * float64(n)
			}
		}
		to := d.load(dw)
		put(to, sum, bindings.Accumulate)
		d.store(dw, to)
	}
	if !dx.Valid() {
		return
	}
	to, row, one := d.load(dx), make([]float64, h), offset(a)
	for t := range r {
		rt, mean := float64(r[t]), 0.0
		for i := range h {
			mean += float64(g[t*h+i]) * (float64(w[i]) + one) * float64(x[t*h+i]) * rt
		}
		mean /= float64(h)
		for i := range h {
			row[i] = rt * (float64(g[t*h+i])*(float64(w[i])+one) - float64(x[t*h+i])*rt*mean)
		}
		put(to[t*h:(t+1)*h], row, how)
	}
	d.store(dx, to)
}

package reference

import (
	"math"
	"slices"

	"github.com/graftlm/graft/bindings"
)

// Dropout draws the mask that an adapter's input has.
func (d *device[F]) Dropout(y bindings.Tensor, how bindings.Write, x bindings.Tensor, p bindings.Dropout, rest bool) {
	d.types.Dropout(y, how, x, p, rest)
	if !d.begin("dropout", y, x, p.Seed) {
		return
	}
	from := d.load(x)
	part := slices.Clone(from)
	d.drop(part, p)
	sum := make([]float64, len(part))
	for i, v := range part {
		if sum[i] = float64(v); rest {
			sum[i] = float64(from[i]) - float64(v)
		}
	}
	to := d.load(y)
	put(to, sum, how)
	d.store(y, to)
}

// WeightNorm: norm[o] = ‖W[o] + scale·Σ_k B[o,k]·A[k]‖₂.
func (d *device[F]) WeightNorm(norm bindings.Tensor, w bindings.Weight, a, b bindings.Tensor, scale float64) {
	d.types.WeightNorm(norm, w, a, b, scale)
	if !d.begin("weight_norm", norm, a, b) {
		return
	}
	down, up, to, rank := d.load(a), d.load(b), d.load(norm), a.Rows()
	for o := range w.Out {
		row := make([]float64, w.In)
		axpy(row, 1, d.row(w, o, norm.DType))
		for k := range rank {
			axpy(row, scale*float64(up[o*rank+k]), down[k*w.In:])
		}
		to[o] = F(math.Sqrt(dot(row, row)))
	}
	d.store(norm, to)
}

// Magnitude: y = residual + g·z + bias with g = 1 + gate·(m/norm − 1).
func (d *device[F]) Magnitude(y bindings.Tensor, a bindings.MagnitudeArgs) {
	d.types.Magnitude(y, a)
	if !d.begin("magnitude", y, a.Z, a.Residual, a.M, a.Norm, a.Bias, a.Gate) {
		return
	}
	to, z, residual, bias, n := d.load(y), d.load(a.Z), d.load(a.Residual), d.load(a.Bias), a.Z.Cols()
	for i, v := range z {
		s := d.magnitude(a, i/n, i%n) * float64(v)
		if residual != nil {
			s += float64(residual[i])
		}
		if bias != nil {
			s += float64(bias[i%n])
		}
		to[i] = F(s)
	}
	d.store(y, to)
}

// magnitude is the factor of column o in row i.
func (d *device[F]) magnitude(a bindings.MagnitudeArgs, i, o int) float64 {
	g := float64(d.load(a.M)[o]) / float64(d.load(a.Norm)[o])
	if a.Gate.Valid() {
		gate := float64(d.load(a.Gate)[i])
		g = 1 - gate + gate*g
	}
	return g
}

// MagnitudeBackward: dz = g·dy, dm = Σ gate·dy·z/norm over the rows.
func (d *device[F]) MagnitudeBackward(dz, dm, dy bindings.Tensor, a bindings.MagnitudeArgs) {
	d.types.MagnitudeBackward(dz, dm, dy, a)
	if !d.begin("magnitude_backward", dz, dm, dy, a.Z, a.M, a.Norm, a.Gate) {
		return
	}
	g, n := d.load(dy), dy.Cols()
	if dm.Valid() {
		z, norm, gate, sum := d.load(a.Z), d.load(a.Norm), d.load(a.Gate), make([]float64, n)
		for i, v := range g {
			part := float64(v) * float64(z[i]) / float64(norm[i%n])
			if gate != nil {
				part *= float64(gate[i/n])
			}
			sum[i%n] += part
		}
		d.add(dm, sum)
	}
	if dz.Valid() {
		to := d.load(dz)
		for i, v := range g {
			to[i] = F(d.magnitude(a, i/n, i%n) * float64(v))
		}
		d.store(dz, to)
	}
}

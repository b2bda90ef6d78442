package lora

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
)

// PiSSA (arXiv 2404.02948): A and B start as the principal part of the weight,
// W = U·S·Vᵀ, B = U√(S/s), A = √(S/s)·Vᵀ for the r largest singular values, and
// the base keeps the rest, W − s·B·A. So the model starts as the base, and what
// is trained is what matters most in it.
//
// The file has to serve the base as it is: Save writes the difference to the
// start, A' = [A; A₀] and B' = [B, −B₀], a plain adapter of rank 2r, as PEFT's
// path_initial_model_for_weight_conversion does.

func (c Config) pissa() bool { return strings.HasPrefix(c.Init, "pissa") }

// iterations is N of "pissa_niter_N", 0 for the exact decomposition.
func (c Config) iterations() int {
	n, _ := strconv.Atoi(strings.TrimPrefix(c.Init, "pissa_niter_"))
	return n
}

// principal has the parameters of an adapter begin as the principal part of w,
// which keeps the rest.
func principal(w, a, b *nn.Param, scale float64, iterations int, seed uint64) {
	out, in, r := w.Shape[0], w.Shape[1], a.Shape[0]
	firstA, firstB := make([]float32, a.Len()), make([]float32, b.Len())
	a.Init = func(v []float32) { copy(v, firstA) }
	b.Init = func(v []float32) { copy(v, firstB) }
	w.Adjust = func(v []float32) {
		u, s, vt := topSingular(widen(v, out, in), r, iterations, seed)
		for k := range r {
			f := math.Sqrt(s[k] / scale)
			for o := range out {
				firstB[o*r+k] = float32(u.At(o, k) * f)
			}
			for i := range in {
				firstA[k*in+i] = float32(vt.At(k, i) * f)
			}
		}
		for o := range out {
			row := v[o*in : (o+1)*in]
			for i := range row {
				sum := 0.0
				for k := range r {
					sum += float64(firstB[o*r+k]) * float64(firstA[k*in+i])
				}
				row[i] = float32(float64(row[i]) - scale*sum)
			}
		}
	}
}

func widen(v []float32, rows, cols int) *mat.Dense {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = float64(x)
	}
	return mat.NewDense(rows, cols, d)
}

// topSingular gives the r largest singular values of w with their vectors: u
// [out, r], vt [r, in]. Without iterations it is exact: the eigenvectors of the
// smaller of W·Wᵀ and Wᵀ·W, in float64, where squaring costs the largest
// values nothing. With them it is the randomised range finder of Halko,
// Martinsson and Tropp (arXiv 0909.4061), algorithm 4.4.
func topSingular(w *mat.Dense, r, iterations int, seed uint64) (u mat.Matrix, s []float64, vt mat.Matrix) {
	out, in := w.Dims()
	if iterations > 0 && r+oversampling < min(out, in) {
		q := gaussian(in, r+oversampling, seed)
		var y mat.Dense
		y.Mul(w, q)
		orthonormalize(&y)
		for range iterations {
			q.Mul(w.T(), &y)
			orthonormalize(q)
			y.Mul(w, q)
			orthonormalize(&y)
		}
		var small mat.Dense
		small.Mul(y.T(), w)
		us, s, vt := topSingular(&small, r, 0, 0)
		var full mat.Dense
		full.Mul(&y, us)
		return &full, s, vt
	}
	if out > in {
		v, s, ut := topSingular(mat.DenseCopyOf(w.T()), r, 0, 0)
		return ut.T(), s, v.T()
	}
	gram := mat.NewSymDense(out, nil)
	gram.SymOuterK(1, w)
	var eigen mat.EigenSym
	eigen.Factorize(gram, true)
	var vectors mat.Dense
	eigen.VectorsTo(&vectors) // ascending
	left, right := mat.NewDense(out, r, nil), mat.NewDense(r, in, nil)
	for k := range r {
		column := vectors.ColView(out - 1 - k)
		left.ColView(k).(*mat.VecDense).CopyVec(column)
		var row mat.VecDense
		row.MulVec(w.T(), column)
		length := mat.Norm(&row, 2)
		s = append(s, length)
		if length > 0 {
			row.ScaleVec(1/length, &row)
		}
		right.RowView(k).(*mat.VecDense).CopyVec(&row)
	}
	return left, s, right
}

const oversampling = 8

// orthonormalize makes the columns of a tall matrix orthonormal, by Gram and
// Schmidt, twice.
func orthonormalize(y *mat.Dense) {
	_, n := y.Dims()
	for k := range n {
		column := y.ColView(k).(*mat.VecDense)
		for range 2 {
			for j := range k {
				other := y.ColView(j)
				column.AddScaledVec(column, -mat.Dot(other, column), other)
			}
		}
		if length := mat.Norm(column, 2); length > 0 {
			column.ScaleVec(1/length, column)
		}
	}
}

// gaussian is a matrix of normal numbers, a function of the seed.
func gaussian(rows, cols int, seed uint64) *mat.Dense {
	d := make([]float64, rows*cols)
	for i := range d {
		w := bindings.Philox([4]uint32{uint32(i), uint32(i >> 32), 1, purposeInit}, [2]uint32{uint32(seed), uint32(seed >> 32)})
		u, angle := (float64(w[0])+0.5)/(1<<32), 2*math.Pi*(float64(w[1])+0.5)/(1<<32)
		d[i] = math.Sqrt(-2*math.Log(u)) * math.Cos(angle)
	}
	return mat.NewDense(rows, cols, d)
}

// Written is the number of values in the adapter's file: beside those that are
// trained PiSSA's has the first ones.
func (c Config) Written(m *model.Model) int {
	n := m.Params.TrainableLen()
	if c.pissa() {
		for _, l := range m.Linears() {
			for _, a := range l.Adapters {
				n += a.A.Shape[0]*a.A.Shape[1] + a.B.Shape[0]*a.B.Shape[1]
			}
		}
	}
	return n
}

package trace

import (
	"math"

	"github.com/graftlm/graft/bindings"
)

// Sample computes in float64: a token is drawn where a sum of probabilities
// exceeds a number.
func (d *Tracer) Sample(ids bindings.Tensor, s bindings.SampleArgs) {
	d.begin("sample")
	n, v := s.Logits.Rows(), s.Logits.Cols()
	if n == 0 {
		d.set(ids, d.fill(0, "i32", 0))
		return
	}
	z := d.wide(d.get(s.Logits))
	if s.Seen.Valid() && s.RepetitionPenalty != 1 { // CTRL, arXiv 1909.05858
		seen := d.get(s.Seen)
		positive := d.compare("GT", z, d.num(0, z))
		penalised := d.choose(positive, d.div(z, d.num(s.RepetitionPenalty, z)), d.scale(z, s.RepetitionPenalty))
		z = d.choose(d.compare("NE", seen, d.num(0, seen)), penalised, z)
	}
	z = d.choose(d.compare("EQ", z, z), z, d.num(math.Inf(-1), z)) // what is no number has no place in an order
	id := d.iota("i32", 1, n, v)
	none := d.num(float64(v-1), id)
	first := func(where value) value { // the lowest id
		return d.fold(d.choose(where, id, none), "minimum", float64(v-1), 1)
	}
	if s.Temperature == 0 {
		d.set(ids, first(d.compare("EQ", z, d.spread(d.max(z, 1), z.dims, 0))))
		return
	}
	z = d.convert(z, "f64")
	z = d.div(z, d.num(s.Temperature, z))
	big := d.max(z, 1)
	weight := func(z value) value { return d.op("exponential", d.sub(z, d.spread(big, z.dims, 0))) }
	e := d.kept(z, id, weight, s)
	sums := d.cumulate(e)
	u := d.uniform(s, n)
	whole := d.reshape(d.cut(sums, 1, v-1, v), n)
	over := d.compare("GT", sums, d.spread(d.mul(u, whole), sums.dims, 0))
	drawn := first(over)
	// Rounding may leave nothing over: then it is the last candidate.
	last := d.fold(d.choose(d.compare("GT", e, d.num(0, e)), id, d.num(0, id)), "maximum", 0, 1)
	d.set(ids, d.op("minimum", drawn, last))
}

// kept are the weights e^(z − largest) of the tokens that top-k, top-p and
// min-p leave, in this order, and zero for the others.
func (d *Tracer) kept(z, id value, weight func(value) value, s bindings.SampleArgs) value {
	e, v := weight(z), z.dims[1]
	zero := d.num(0, e)
	if !(s.TopK > 0 && s.TopK < v) && s.TopP >= 1 {
		return d.atLeast(e, e, zero, s)
	}
	sorted, order := d.sort(z, id)
	f := weight(sorted)
	if k := s.TopK; k > 0 && k < v { // what equals the last one stays
		limit := d.reshape(d.cut(sorted, 1, k-1, k), z.dims[0])
		f = d.choose(d.compare("GE", sorted, d.spread(limit, z.dims, 0)), f, zero)
		e = d.choose(d.compare("GE", z, d.spread(limit, z.dims, 0)), e, zero)
	}
	if s.TopP >= 1 {
		return d.atLeast(e, e, zero, s)
	}
	// The fewest tokens whose probability reaches top-p: those before which
	// the sum is below it.
	sums := d.cumulate(f)
	whole := d.reshape(d.cut(sums, 1, v-1, v), z.dims[0])
	before := d.pad(d.cut(sums, 1, 0, v-1), 1, 1, 0, 0)
	few := d.compare("LT", before, d.spread(d.scale(whole, s.TopP), z.dims, 0))
	count := d.fold(d.convert(few, "i32"), "add", 0, 1)
	rank := d.iota("i32", 1, z.dims...)
	isLast := d.compare("EQ", rank, d.sub(d.spread(d.op("maximum", count, d.num(1, count)), z.dims, 0), d.num(1, rank)))
	lastZ := d.fold(d.choose(isLast, sorted, d.num(math.Inf(-1), z)), "maximum", math.Inf(-1), 1)
	lastID := d.fold(d.choose(isLast, order, d.num(0, id)), "maximum", 0, 1)
	tie := d.op("and", d.compare("EQ", z, d.spread(lastZ, z.dims, 0)), d.compare("LE", id, d.spread(lastID, z.dims, 0)))
	in := d.op("or", d.compare("GT", z, d.spread(lastZ, z.dims, 0)), tie)
	return d.atLeast(d.choose(in, e, zero), e, zero, s)
}

// atLeast applies min-p; the largest has weight 1.
func (d *Tracer) atLeast(kept, e, zero value, s bindings.SampleArgs) value {
	if s.MinP <= 0 {
		return kept
	}
	return d.choose(d.compare("GE", e, d.num(math.Min(s.MinP, 1), e)), kept, zero)
}

// sort gives each row in falling order, equal ones in the order of ids.
func (d *Tracer) sort(z, id value) (sorted, order value) {
	pair := d.line(":2", `"stablehlo.sort"(%s, %s) <{dimension = 1 : i64, is_stable = true}> ({
    ^bb0(%%a: tensor<f64>, %%b: tensor<f64>, %%i: tensor<i32>, %%j: tensor<i32>):
      %%more = stablehlo.compare GT, %%a, %%b : (tensor<f64>, tensor<f64>) -> tensor<i1>
      stablehlo.return %%more : tensor<i1>
    }) : (%s, %s) -> (%s, %s)`, z.name, id.name, z.typ(), id.typ(), z.typ(), id.typ())
	return value{pair + "#0", z.elem, z.dims}, value{pair + "#1", id.elem, id.dims}
}

// cumulate is the running sum of each row, by doubling.
func (d *Tracer) cumulate(x value) value {
	v := x.dims[1]
	for step := 1; step < v; step *= 2 {
		x = d.add(x, d.pad(d.cut(x, 1, 0, v-step), 1, step, 0, 0))
	}
	return x
}

// uniform is the random number in [0, 1) of each row.
func (d *Tracer) uniform(s bindings.SampleArgs, n int) value {
	seed := d.get(s.Seed)
	at := func(i int) value { return d.spread(d.at(seed, i), []int{n}) }
	words := d.philox([4]value{d.iota("ui32", 0, n), d.fill(0, "ui32", n), at(2), at(3)}, [2]value{at(0), at(1)})
	return d.scale(d.convert(words[0], "f64"), 1.0/(1<<32))
}

package adapter

import (
	"math"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method/lora"
)

// Kind is a way to combine, under PEFT's name.
type Kind string

// Cat stacks the factors: exact, and the ranks add. SVD is the best
// approximation of the exact sum with the rank of Options. Linear, Prune, Ties
// (arXiv 2306.01708) and the two of DARE (arXiv 2311.03099) work on A and on B
// by themselves, so that they have cross terms; that is what PEFT does.
const (
	Cat        Kind = "cat"
	Linear     Kind = "linear"
	SVD        Kind = "svd"
	Ties       Kind = "ties"
	DareLinear Kind = "dare_linear"
	DareTies   Kind = "dare_ties"
	Prune      Kind = "magnitude_prune"
)

// Kinds lists them.
var Kinds = []Kind{Cat, Linear, SVD, Ties, DareLinear, DareTies, Prune}

// Weighted is an adapter with the weight of its effect.
type Weighted struct {
	*Adapter
	Weight float64
}

// Options of Combine.
type Options struct {
	Rank    int     // of SVD; 0: the largest of the adapters
	Density float64 // of ties, dare and magnitude_prune: the share of elements that is kept; 0 stands for 0.5
	// Frequency elects signs by number instead of by sum.
	Frequency bool
	Seed      uint64 // of dare
}

// Combine makes one adapter of several. Its scale is 1 (lora_alpha = r), as
// that of add_weighted_adapter. One adapter alone is only weighed.
func Combine(kind Kind, all []Weighted, o Options) (*Adapter, error) {
	if len(all) == 0 {
		return nil, failure.Usage("there is no adapter to combine")
	}
	if !slices.Contains(Kinds, kind) {
		return nil, failure.Usage("%q is no way to combine; use cat, linear, svd, ties, dare_linear, dare_ties or magnitude_prune", kind)
	}
	if o.Density == 0 {
		o.Density = 0.5
	}
	if !(o.Density > 0 && o.Density <= 1) {
		return nil, failure.Usage("a density of %v, want more than 0 and at most 1", o.Density)
	}
	if len(all) == 1 {
		kind = Linear
	}
	paths, err := check(kind, all)
	if err != nil {
		return nil, err
	}
	rank := 0
	for _, a := range all {
		if kind == Cat {
			rank += most(a.Adapter)
		} else {
			rank = max(rank, most(a.Adapter))
		}
	}
	if kind == SVD && o.Rank > 0 {
		rank = o.Rank
	}
	first := all[0].Config
	out := &Adapter{Config: lora.Config{R: rank, Alpha: float64(rank), BaseModel: first.BaseModel, Dropout: first.Dropout}}
	for i, path := range paths {
		var parts []part
		for _, a := range all {
			if j := slices.IndexFunc(a.Layers, func(l Layer) bool { return l.Path == path }); j >= 0 {
				parts = append(parts, part{a.Layers[j], a.Weight * a.Layers[j].Scale})
			}
		}
		l := Layer{Path: path, Scale: 1}
		switch kind {
		case Cat:
			l.A, l.B = cat(parts, rank)
		case SVD:
			l.A, l.B = truncated(parts, rank)
		default:
			l.A, l.B = arithmetic(kind, parts, o, uint32(i))
		}
		out.Layers = append(out.Layers, l)
	}
	for _, a := range all {
		out.Other = append(out.Other, a.Other...)
		out.Config.Modules = append(out.Config.Modules, a.Config.Modules...)
	}
	out.Config.Targets = out.targets()
	return out, nil
}

// part is the update of one adapter to one layer: weight·B·A.
type part struct {
	Layer
	weight float64
}

// most is the largest rank of an adapter.
func most(a *Adapter) (r int) {
	for _, l := range a.Layers {
		n, _ := l.A.Dims()
		r = max(r, n)
	}
	return r
}

// check refuses what would not be a sum, and lists the layers.
func check(kind Kind, all []Weighted) (paths []string, err error) {
	seen, wholes := map[string]Weighted{}, map[string]string{}
	for _, a := range all {
		if a.Config.DoRA {
			return nil, failure.Data("%s is a DoRA adapter: its magnitudes belong to its own update and do not add up; merge it into the base first", a.Dir)
		}
		if b := all[0]; !sameBase(a.Config.BaseModel, b.Config.BaseModel) {
			return nil, failure.Data("%s is for the base %s and %s for %s; adapters of different bases do not add up", b.Dir, b.Config.BaseModel, a.Dir, a.Config.BaseModel)
		}
		for _, w := range a.Other {
			if other, ok := wholes[w.Name]; ok {
				return nil, failure.Data("%s and %s both have %s whole (modules_to_save), and neither can give way", other, a.Dir, w.Name)
			}
			wholes[w.Name] = a.Dir
		}
		for _, l := range a.Layers {
			before, ok := seen[l.Path]
			if !ok {
				seen[l.Path] = a
				paths = append(paths, l.Path)
				continue
			}
			o := before.Layers[slices.IndexFunc(before.Layers, func(o Layer) bool { return o.Path == l.Path })]
			if err := fits(before.Adapter, a.Adapter, o, l); err != nil {
				return nil, err
			}
		}
		if kind == Cat || kind == SVD {
			continue
		}
		for _, l := range a.Layers {
			if r, _ := l.A.Dims(); r != most(all[0].Adapter) {
				return nil, failure.Data("%s has rank %d at %s and %s rank %d; %s needs equal ranks, cat and svd do not", a.Dir, r, l.Path, all[0].Dir, most(all[0].Adapter), kind)
			}
		}
	}
	sort.Strings(paths)
	return paths, nil
}

func sameBase(a, b string) bool {
	last := func(s string) string { s = strings.TrimRight(s, "/"); return s[strings.LastIndexByte(s, '/')+1:] }
	return a == "" || b == "" || last(a) == last(b)
}

// cat is A' = [w₁A₁; w₂A₂; …], B' = [B₁, B₂, …], and zeros up to the rank.
func cat(parts []part, rank int) (a, b *mat.Dense) {
	_, in := parts[0].A.Dims()
	out, _ := parts[0].B.Dims()
	a, b = mat.NewDense(rank, in, nil), mat.NewDense(out, rank, nil)
	at := 0
	for _, p := range parts {
		r, _ := p.A.Dims()
		a.Slice(at, at+r, 0, in).(*mat.Dense).Scale(p.weight, p.A)
		b.Slice(0, out, at, at+r).(*mat.Dense).Copy(p.B)
		at += r
	}
	return a, b
}

// truncated is the singular value decomposition of Σ w·B·A, of which the
// largest stay: B' = U·S, A' = Vᵀ. The sum has the rank R of the parts
// together, so that it is done on factors: B' = Q₁R₁, A'ᵀ = Q₂R₂, and R₁R₂ᵀ is
// R×R.
func truncated(parts []part, rank int) (a, b *mat.Dense) {
	total := 0
	for _, p := range parts {
		r, _ := p.A.Dims()
		total += r
	}
	tall, wide := cat(parts, total)
	q1, r1 := thin(wide)
	q2, r2 := thin(mat.DenseCopyOf(tall.T()))
	var core mat.Dense
	core.Mul(r1, r2.T())
	var svd mat.SVD
	svd.Factorize(&core, mat.SVDThin)
	var u, v, left, right mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	left.Mul(q1, &u)
	right.Mul(q2, &v)
	s := svd.Values(nil)
	out, _ := left.Dims()
	in, _ := right.Dims()
	a, b = mat.NewDense(rank, in, nil), mat.NewDense(out, rank, nil)
	for k := range min(rank, len(s)) {
		for i := range out {
			b.Set(i, k, left.At(i, k)*s[k])
		}
		for i := range in {
			a.Set(k, i, right.At(i, k))
		}
	}
	return a, b
}

// thin is x = q·r with orthonormal columns of q, as many as x has columns or
// rows, whichever is less.
func thin(x *mat.Dense) (q, r *mat.Dense) {
	var svd mat.SVD
	svd.Factorize(x, mat.SVDThin)
	var u, v, sv mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	s := svd.Values(nil)
	sv.Mul(mat.NewDiagDense(len(s), s), v.T())
	return &u, &sv
}

// arithmetic works on A and on B, each as it is: √|w| to both, the sign to A.
func arithmetic(kind Kind, parts []part, o Options, layer uint32) (a, b *mat.Dense) {
	var down, up []*mat.Dense
	var signed, plain []float64
	for _, p := range parts {
		root := math.Sqrt(math.Abs(p.weight))
		down, up = append(down, p.A), append(up, p.B)
		plain = append(plain, root)
		signed = append(signed, math.Copysign(root, p.weight))
	}
	return task(kind, down, signed, o, 2*layer), task(kind, up, plain, o, 2*layer+1)
}

// task combines tensors of one shape (PEFT's merge_utils.py): what is kept of
// each, then the weighted sum, or with ties the mean over those whose sign is
// the elected one.
func task(kind Kind, all []*mat.Dense, weights []float64, o Options, site uint32) *mat.Dense {
	rows, cols := all[0].Dims()
	kept := make([][]float64, len(all))
	for i, m := range all {
		v := slices.Clone(m.RawMatrix().Data)
		switch {
		case o.Density == 1:
		case kind == Ties || kind == Prune:
			largest(v, o.Density)
		case kind == DareLinear || kind == DareTies:
			drop(v, o.Density, o.Seed, site, uint32(i))
		}
		kept[i] = v
	}
	sum := make([]float64, rows*cols)
	for e := range sum {
		if kind != Ties && kind != DareTies {
			for i, v := range kept {
				sum[e] += weights[i] * v[e]
			}
			continue
		}
		sum[e] = elected(kept, weights, e, o.Frequency)
	}
	return mat.NewDense(rows, cols, sum)
}

// elected is the mean of element e over the tensors that have the elected sign.
func elected(kept [][]float64, weights []float64, e int, frequency bool) float64 {
	vote := 0.0
	for _, v := range kept {
		if frequency {
			vote += sign(v[e])
		} else {
			vote += v[e]
		}
	}
	winner := 1.0
	if vote < 0 {
		winner = -1
	}
	sum, n := 0.0, 0.0
	for i, v := range kept {
		if sign(v[e]) == winner {
			sum, n = sum+weights[i]*v[e], n+1
		}
	}
	return sum / max(n, 1)
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// largest keeps the ⌊density·n⌋ elements of the largest magnitude.
func largest(v []float64, density float64) {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return math.Abs(v[order[i]]) > math.Abs(v[order[j]]) })
	for _, i := range order[int(density*float64(len(v))):] {
		v[i] = 0
	}
}

// drop keeps each element with the probability density, and divides it by
// that. Element e of tensor i stays where word e%4 of Philox4x32-10 at
// (e/4, site, i, "DARE") is below density·2³².
func drop(v []float64, density float64, seed uint64, site, i uint32) {
	key := [2]uint32{uint32(seed), uint32(seed >> 32)}
	for e := 0; e < len(v); e += 4 {
		words := bindings.Philox([4]uint32{uint32(e / 4), site, i, 0xDA4E0000}, key)
		for j := e; j < min(e+4, len(v)); j++ {
			if float64(words[j-e]) < density*(1<<32) {
				v[j] /= density
			} else {
				v[j] = 0
			}
		}
	}
}

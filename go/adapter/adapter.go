// Package adapter works on LoRA adapter directories without their base: it
// reads one, tells what it does to each layer, compares two, and combines
// several into one (PEFT's add_weighted_adapter).
//
//	a, err := adapter.Open("runs/a/adapter")
//	b, err := adapter.Open("runs/b/adapter")
//	both, err := adapter.Combine(adapter.Cat, []adapter.Weighted{{a, 0.7}, {b, 0.3}}, adapter.Options{})
//	err = both.Write("both")
package adapter

import (
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/safetensors"
)

// Adapter is a directory that was read.
type Adapter struct {
	Dir    string
	Config lora.Config
	Layers []Layer // by path
	Other  []Other // magnitudes and modules that were trained whole
}

// Layer is the update of one linear layer, Scale·B·A.
type Layer struct {
	Path  string     // "model.layers.0.self_attn.q_proj"
	A, B  *mat.Dense // [r, in], [out, r]
	Scale float64
}

// Other is a tensor that is no update: it replaces something.
type Other struct {
	Name   string // without "base_model.model."
	Shape  []int
	Values []float32
}

// The names in the file.
const (
	prefix = "base_model.model."
	endA   = ".lora_A.weight"
	endB   = ".lora_B.weight"
)

// Open reads a directory. Errors are of the kinds failure.Data and
// failure.NoInput.
func Open(dir string) (*Adapter, error) {
	c, err := lora.Read(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, method.WeightsFile)
	values, shapes, err := method.ReadShaped(path)
	if err != nil {
		return nil, err
	}
	a := &Adapter{Dir: dir, Config: c}
	for name, v := range values {
		place := strings.TrimPrefix(name, prefix)
		layer, isA := strings.CutSuffix(place, endA)
		if strings.HasSuffix(place, endB) {
			if _, ok := values[strings.TrimSuffix(name, endB)+endA]; !ok {
				return nil, failure.Data("%s has %s without its lora_A", path, name)
			}
			continue
		}
		if !isA {
			a.Other = append(a.Other, Other{place, shapes[name], v})
			continue
		}
		other := prefix + layer + endB
		sa, sb := shapes[name], shapes[other]
		if len(sa) != 2 || len(sb) != 2 || sa[0] != sb[1] || sa[0] == 0 {
			return nil, failure.Data("%s: %s has shape %v and %s %v, want [r, in] and [out, r]", path, name, sa, other, sb)
		}
		r, scale := c.Rank(layer)
		if r != sa[0] {
			return nil, failure.Data("%s: %s has rank %d, and %s says %d", path, name, sa[0], method.ConfigFile, r)
		}
		a.Layers = append(a.Layers, Layer{layer, dense(v, sa), dense(values[other], sb), scale})
	}
	sort.Slice(a.Layers, func(i, j int) bool { return a.Layers[i].Path < a.Layers[j].Path })
	sort.Slice(a.Other, func(i, j int) bool { return a.Other[i].Name < a.Other[j].Name })
	return a, nil
}

// Write writes a new directory, whole or not at all.
func (a *Adapter) Write(dir string) error {
	var tensors []safetensors.Tensor
	for _, l := range a.Layers {
		for end, m := range map[string]*mat.Dense{endA: l.A, endB: l.B} {
			rows, cols := m.Dims()
			tensors = append(tensors, method.Tensor(prefix+l.Path+end, []int{rows, cols}, narrow(m)))
		}
	}
	for _, o := range a.Other {
		tensors = append(tensors, method.Tensor(prefix+o.Name, o.Shape, o.Values))
	}
	return atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
		if err := method.WriteConfig(d, a.Config.PEFT(a.targets())); err != nil {
			return err
		}
		return method.WriteTensors(d, method.WeightsFile, tensors)
	})
}

// targets are the paths of the layers that the adapter has. Without the base
// nothing shorter is sure to mean these and no others.
func (a *Adapter) targets() (paths []string) {
	for _, l := range a.Layers {
		paths = append(paths, l.Path)
	}
	return paths
}

// Parameters is their number.
func (a *Adapter) Parameters() (n int) {
	for _, l := range a.Layers {
		r, in := l.A.Dims()
		out, _ := l.B.Dims()
		n += r * (in + out)
	}
	for _, o := range a.Other {
		n += len(o.Values)
	}
	return n
}

// Norm is the Frobenius norm of all updates together.
func (a *Adapter) Norm() float64 {
	sum := 0.0
	for _, l := range a.Layers {
		sum += inner(l, l)
	}
	return math.Sqrt(sum)
}

// inner is ⟨s₁B₁A₁, s₂B₂A₂⟩ = s₁s₂·tr((B₁ᵀB₂)(A₂A₁ᵀ)): the matrices of the
// size of the layer never exist.
func inner(x, y Layer) float64 {
	var b, a, both mat.Dense
	b.Mul(x.B.T(), y.B)
	a.Mul(y.A, x.A.T())
	both.Mul(&b, &a)
	return x.Scale * y.Scale * mat.Trace(&both)
}

// Difference is what two adapters have in common, and what not.
type Difference struct {
	Distance float64           `json:"distance"` // ‖ΔW₁ − ΔW₂‖ / ‖ΔW₁‖ over all layers
	Cosine   float64           `json:"cosine"`   // of the two updates
	Norms    [2]float64        `json:"norms"`
	OnlyOne  []string          `json:"only_first,omitempty"`
	OnlyTwo  []string          `json:"only_second,omitempty"`
	Layers   []LayerDifference `json:"layers"`
}

// LayerDifference is the same for a layer that both have.
type LayerDifference struct {
	Path     string  `json:"layer"`
	Distance float64 `json:"distance"`
	Cosine   float64 `json:"cosine"`
}

// Diff compares the updates of two adapters, layer by layer.
func Diff(x, y *Adapter) (Difference, error) {
	var d Difference
	var xx, yy, xy float64
	for _, l := range x.Layers {
		i := slices.IndexFunc(y.Layers, func(o Layer) bool { return o.Path == l.Path })
		own := inner(l, l)
		xx += own
		if i < 0 {
			d.OnlyOne = append(d.OnlyOne, l.Path)
			continue
		}
		o := y.Layers[i]
		if err := fits(x, y, l, o); err != nil {
			return d, err
		}
		other, cross := inner(o, o), inner(l, o)
		xy += cross
		d.Layers = append(d.Layers, LayerDifference{l.Path, distance(own, other, cross), cosine(own, other, cross)})
	}
	for _, l := range y.Layers {
		yy += inner(l, l)
		if !slices.ContainsFunc(x.Layers, func(o Layer) bool { return o.Path == l.Path }) {
			d.OnlyTwo = append(d.OnlyTwo, l.Path)
		}
	}
	d.Distance, d.Cosine, d.Norms = distance(xx, yy, xy), cosine(xx, yy, xy), [2]float64{math.Sqrt(xx), math.Sqrt(yy)}
	return d, nil
}

func distance(xx, yy, xy float64) float64 {
	if xx == 0 {
		return 0
	}
	return math.Sqrt(max(0, xx+yy-2*xy) / xx)
}

func cosine(xx, yy, xy float64) float64 {
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

// fits refuses layers of different sizes.
func fits(x, y *Adapter, l, o Layer) error {
	_, in1 := l.A.Dims()
	_, in2 := o.A.Dims()
	out1, _ := l.B.Dims()
	out2, _ := o.B.Dims()
	if in1 != in2 || out1 != out2 {
		return failure.Data("%s is %d×%d in %s and %d×%d in %s: the adapters are for different bases", l.Path, out1, in1, x.Dir, out2, in2, y.Dir)
	}
	return nil
}

func dense(v []float32, shape []int) *mat.Dense {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = float64(x)
	}
	return mat.NewDense(shape[0], shape[1], d)
}

func narrow(m *mat.Dense) []float32 {
	d := m.RawMatrix().Data
	v := make([]float32, len(d))
	for i, x := range d {
		v[i] = float32(x)
	}
	return v
}

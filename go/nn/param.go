package nn

import (
	"fmt"
	"slices"

	"github.com/graftlm/graft/bindings"
)

// Param is one tensor of a model: a weight of the base, or what a method adds.
// Its place is known once Params.Layout ran.
type Param struct {
	Name  string // as in the base checkpoint, or as the method's own file has it
	Shape []int

	// Trainable parameters lie in the flat buffers, in float32. Frozen ones lie
	// in the frozen arena, in the compute type or, a matrix of a linear layer,
	// as Storage says.
	Trainable bool
	Storage   Storage
	Group     Group // of a trainable parameter
	// Init gives the first values of a parameter that no checkpoint has; nil
	// means that they are read from the base.
	Init func(values []float32)

	Value bindings.Tensor // the codes of an NF4 matrix
	Grad  bindings.Tensor // not valid if frozen
	// The scales of an NF4 matrix (bindings.Weight).
	Absmax, Nested, Offset bindings.Tensor
}

// Storage is how a frozen matrix lies in memory.
type Storage uint8

const (
	Dense     Storage = iota
	NF4               // four bits, a float32 scale for each block
	NF4Double         // four bits, scales doubly quantised
)

// Group is how the optimizer treats a parameter.
type Group struct {
	NoDecay bool    // weight decay does not apply
	LRScale float64 // times the learning rate; 0 stands for 1
}

// Len is the number of elements.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Weight is the parameter as the matrix of a linear layer.
func (p *Param) Weight() bindings.Weight {
	return bindings.Weight{
		Out: p.Shape[0], In: p.Shape[1], Data: p.Value,
		Absmax: p.Absmax, Nested: p.Nested, Offset: p.Offset,
	}
}

// place gives a frozen parameter its place.
func (p *Param) place(m *bindings.Memory, t Types) {
	if p.Storage == Dense {
		p.Value = m.Alloc(bindings.Frozen, t.Compute, p.Shape...)
		return
	}
	blocks := p.Len() / bindings.NF4Block
	p.Value = m.Alloc(bindings.Frozen, bindings.U8, p.Shape[0], p.Shape[1]/2)
	if p.Storage == NF4 {
		p.Absmax = m.Alloc(bindings.Frozen, bindings.F32, blocks)
		return
	}
	p.Absmax = m.Alloc(bindings.Frozen, bindings.U8, blocks)
	p.Nested = m.Alloc(bindings.Frozen, bindings.F32, (blocks+bindings.NestedBlock-1)/bindings.NestedBlock)
	p.Offset = m.Alloc(bindings.Frozen, bindings.F32, 1)
}

// Saved is the number of bytes that the storage of a parameter which has a
// place takes less than the compute type would.
func (p *Param) Saved(t Types) int64 {
	if p.Storage == Dense {
		return 0
	}
	n := bindings.Padded(int64(p.Len()) * t.Compute.Size())
	for _, x := range p.Weight().Tensors() {
		n -= bindings.Padded(x.Bytes())
	}
	return n
}

// value and grad are those of a parameter that may not exist.
func value(p *Param) bindings.Tensor {
	if p == nil {
		return bindings.Tensor{}
	}
	return p.Value
}

func grad(p *Param) bindings.Tensor {
	if p == nil {
		return bindings.Tensor{}
	}
	return p.Grad
}

func trains(p *Param) bool { return p != nil && p.Trainable }

// Params are all parameters of a model, in a fixed order, and the flat buffers
// of the trainable ones: so that the norm and the update are one operation
// each, whatever the model is.
type Params struct {
	All []*Param

	Values, Grads, ExpAvg, ExpAvgSq bindings.Tensor // [n] each
	Ranges                          []GroupRange
}

// GroupRange is the part of the flat buffers that belongs to one group.
type GroupRange struct {
	Group
	First, Len int
}

// Add appends a parameter.
func (s *Params) Add(p *Param) *Param {
	if p.Len() <= 0 {
		panic(fmt.Sprintf("nn: parameter %s has shape %v", p.Name, p.Shape))
	}
	s.All = append(s.All, p)
	return p
}

// Trainable lists the trainable parameters in the order of the flat buffers.
func (s *Params) Trainable() []*Param {
	var groups []Group
	for _, p := range s.All {
		if p.Trainable && !slices.Contains(groups, p.Group) {
			groups = append(groups, p.Group)
		}
	}
	var all []*Param
	for _, g := range groups {
		for _, p := range s.All {
			if p.Trainable && p.Group == g {
				all = append(all, p)
			}
		}
	}
	return all
}

// TrainableLen is the number of trainable elements.
func (s *Params) TrainableLen() (n int) {
	for _, p := range s.All {
		if p.Trainable {
			n += p.Len()
		}
	}
	return n
}

// Layout gives every parameter its place: frozen ones in the frozen arena, the
// trainable ones in flat buffers. With training false there are no gradients
// and no moments: the parameters are there to be read.
func (s *Params) Layout(m *bindings.Memory, t Types, training bool) {
	for _, p := range s.All {
		if !p.Trainable {
			p.place(m, t)
		}
	}
	n := s.TrainableLen()
	if n == 0 {
		return
	}
	s.Values = m.Alloc(bindings.Trainable, t.Param, n)
	if training {
		s.Grads = m.Alloc(bindings.Trainable, t.Param, n)
		s.ExpAvg = m.Alloc(bindings.Trainable, t.Param, n)
		s.ExpAvgSq = m.Alloc(bindings.Trainable, t.Param, n)
	}
	s.Ranges = nil
	at := 0
	for _, p := range s.Trainable() {
		p.Value = s.Values.View(at, p.Shape...)
		if training {
			p.Grad = s.Grads.View(at, p.Shape...)
		}
		if k := len(s.Ranges); k > 0 && s.Ranges[k-1].Group == p.Group {
			s.Ranges[k-1].Len += p.Len()
		} else {
			s.Ranges = append(s.Ranges, GroupRange{p.Group, at, p.Len()})
		}
		at += p.Len()
	}
}

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
	// Adjust, if any, changes the values that were read from the base before
	// they are rounded to their place.
	Adjust func(values []float32)

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
// of the trainable ones: so that the norm is one operation and the update one
// for each range, whatever the model is.
type Params struct {
	All []*Param
	// EightBit keeps the moments of every trainable parameter of at least
	// EightBitLen elements in eight bits, as bitsandbytes does. It is set before
	// Layout.
	EightBit bool

	Values, Grads bindings.Tensor // [n]
	Moments       Moments
	Ranges        []GroupRange
}

// EightBitLen is the number of elements from which a parameter may have its
// moments in eight bits.
const EightBitLen = 4096

// GroupRange is the part of the flat buffers that belongs to one group.
type GroupRange struct {
	Group
	EightBit   bool
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

// class is what decides how a parameter is updated: those of one class are one
// range of the flat buffers.
type class struct {
	Group
	eightBit bool
}

func (s *Params) class(p *Param) class { return class{p.Group, s.EightBit && p.Len() >= EightBitLen} }

// Trainable lists the trainable parameters in the order of the flat buffers:
// those with moments in eight bits come first.
func (s *Params) Trainable() []*Param {
	var classes []class
	for _, p := range s.All {
		if c := s.class(p); p.Trainable && !slices.Contains(classes, c) {
			classes = append(classes, c)
		}
	}
	slices.SortStableFunc(classes, func(a, b class) int {
		if a.eightBit == b.eightBit {
			return 0
		} else if a.eightBit {
			return -1
		}
		return 1
	})
	var all []*Param
	for _, c := range classes {
		for _, p := range s.All {
			if p.Trainable && s.class(p) == c {
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
	trainable := s.Trainable()
	if len(trainable) == 0 {
		return
	}
	s.Ranges = nil
	n, coded := 0, 0
	first := map[*Param]int{}
	for _, p := range trainable {
		c, size := s.class(p), p.Len()
		if c.eightBit { // a parameter begins a block
			size = (size + bindings.StateBlock - 1) / bindings.StateBlock * bindings.StateBlock
			coded = n + size
		}
		first[p] = n
		if k := len(s.Ranges); k > 0 && s.Ranges[k-1].Group == c.Group && s.Ranges[k-1].EightBit == c.eightBit {
			s.Ranges[k-1].Len += size
		} else {
			s.Ranges = append(s.Ranges, GroupRange{c.Group, c.eightBit, n, size})
		}
		n += size
	}
	s.Values = m.Alloc(bindings.Trainable, t.Param, n)
	if training {
		s.Grads = m.Alloc(bindings.Trainable, t.Param, n)
		s.Moments = newMoments(m, t, coded, n-coded)
	}
	for _, p := range trainable {
		p.Value = s.Values.View(first[p], p.Shape...)
		if training {
			p.Grad = s.Grads.View(first[p], p.Shape...)
		}
	}
}

// Gaps are the parts of the values that no parameter fills, so that the next
// one begins a block. They are to be zero, and then stay so.
func (s *Params) Gaps() (all []bindings.Tensor) {
	at := 0
	for _, p := range s.Trainable() {
		if p.Value.First > at {
			all = append(all, s.Values.View(at, p.Value.First-at))
		}
		at = p.Value.First + p.Len()
	}
	if n := s.Values.Len(); s.Values.Valid() && n > at {
		all = append(all, s.Values.View(at, n-at))
	}
	return all
}

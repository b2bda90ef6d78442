package trace

import (
	"fmt"
	"maps"
	"slices"

	"github.com/graftlm/graft/bindings"
)

// cell is what a slot holds at this point of the program: one value for the
// whole slot, and newer values for ranges of it. A flat buffer of gradients is
// a cell with a sum for each parameter, joined when the norm reads it whole.
type cell struct {
	root   bindings.Tensor // the whole slot
	whole  value
	known  bool          // whole is set
	pieces map[int]value // flat, by first element
	sums   map[int]value // what is still to be added to whole, flat, by first element
	arg    bool          // read before it was written: an argument of the module
	dirty  bool          // written: a result of the module, if it outlives it
}

// cell finds the cell of a tensor.
func (d *Tracer) cell(t bindings.Tensor) *cell {
	c, ok := d.cells[t.Slot.Serial]
	if !ok {
		c = &cell{root: d.layout(t), pieces: map[int]value{}, sums: map[int]value{}}
		d.cells[t.Slot.Serial] = c
	}
	if c.root.DType != t.DType {
		panic(fmt.Errorf("%w: %v is seen as %s and as %s", bindings.ErrNotImplemented, t, c.root.DType, t.DType))
	}
	return c
}

// Root is the whole slot of a tensor, if nothing else says how it is shaped:
// the tensor itself where it is the whole slot, else a vector.
func Root(t bindings.Tensor) bindings.Tensor {
	n := int(t.Slot.Bytes / t.DType.Size())
	if t.First == 0 && t.Len() == n {
		return t
	}
	t.First, t.Shape = 0, bindings.ShapeOf(n)
	return t
}

// get is the value of a tensor now, in its shape.
func (d *Tracer) get(t bindings.Tensor) value {
	c, dims := d.cell(t), t.Shape.Dims()
	if v, ok := c.pieces[t.First]; ok && v.len() == t.Len() {
		return d.reshape(v, dims...)
	}
	if !c.known && (len(c.pieces) == 0 || t.Slot.Space != bindings.Activations) {
		d.argument(c)
	}
	if c.overlapped(t) {
		d.join(c)
	}
	if t.Len() == c.root.Len() {
		return d.reshape(c.whole, dims...)
	}
	return d.reshape(d.cut(d.reshape(c.whole, c.root.Len()), 0, t.First, t.First+t.Len()), dims...)
}

// set gives a tensor a new value, rounded to its type; the shape may differ.
func (d *Tracer) set(t bindings.Tensor, v value) {
	v = d.reshape(d.convert(v, elem(t.DType)), t.Shape.Dims()...)
	c := d.cell(t)
	if t.Len() == 0 {
		return
	}
	c.dirty = true
	if t.Len() == c.root.Len() {
		c.whole, c.known = d.reshape(v, c.root.Shape.Dims()...), true
		clear(c.pieces)
		clear(c.sums)
		return
	}
	if old, ok := c.pieces[t.First]; c.overlapped(t) && !(ok && old.len() == t.Len()) {
		d.join(c)
	}
	c.pieces[t.First] = d.reshape(v, t.Len())
}

// accumulate adds to a gradient of a parameter, or to a sum. What is added to a
// small range of an argument waits for its neighbours: a compiler makes a kernel
// of each sum that is alone, and there are hundreds.
func (d *Tracer) accumulate(t bindings.Tensor, v value) {
	c := d.cell(t)
	if t.Slot.Space == bindings.Trainable && t.DType == bindings.F32 && t.Len() < c.root.Len() && t.Bytes() < largePiece && !c.overlapped(t) {
		if !c.known {
			d.argument(c)
		}
		c.dirty, c.sums[t.First] = true, d.reshape(v, t.Len())
		return
	}
	d.set(t, d.add(d.wide(d.get(t)), d.reshape(v, t.Shape.Dims()...)))
}

// settle adds what waits, a run of neighbours at a time.
func (d *Tracer) settle(c *cell) {
	at := slices.Sorted(maps.Keys(c.sums))
	for i := 0; i < len(at); {
		first, next := at[i], at[i]
		var run []value
		for ; i < len(at) && at[i] == next; i++ {
			run = append(run, c.sums[at[i]])
			next += c.sums[at[i]].len()
		}
		before := d.cut(d.reshape(c.whole, c.root.Len()), 0, first, next)
		c.pieces[first] = d.add(before, d.concat(0, run...))
	}
	clear(c.sums)
}

// write gives the gradient of an activation, which is set or added to.
func (d *Tracer) write(t bindings.Tensor, how bindings.Write, v value) {
	if how == bindings.Accumulate {
		d.accumulate(t, v)
		return
	}
	d.set(t, v)
}

// argument makes the slot an argument, with what it holds before the launch.
func (d *Tracer) argument(c *cell) {
	if c.root.Slot.Space == bindings.Activations {
		panic(fmt.Errorf("%v is read and was never written", c.root))
	}
	c.arg, c.known = true, true
	c.whole = value{fmt.Sprintf("%%%s.%d", c.root.Slot.Space, c.root.Slot.Index), elem(c.root.DType), c.root.Shape.Dims()}
	d.arguments = append(d.arguments, c)
}

func (c *cell) overlapped(t bindings.Tensor) bool {
	for _, some := range []map[int]value{c.pieces, c.sums} {
		for first, v := range some {
			if first < t.First+t.Len() && t.First < first+v.len() {
				return true
			}
		}
	}
	return false
}

// largePiece is the size in bytes from which a piece is written into the buffer
// in place, by an operation of its own; smaller ones are copied together.
const largePiece = 1 << 20

// join makes one value of a cell again.
func (d *Tracer) join(c *cell) {
	d.settle(c)
	if len(c.pieces) == 0 {
		return
	}
	at := slices.Sorted(maps.Keys(c.pieces))
	n, covered := c.root.Len(), 0
	for _, v := range c.pieces {
		covered += v.len()
	}
	if covered < n && !c.known {
		if c.root.Slot.Space == bindings.Activations { // the rest is never read
			c.whole, c.known = d.fill(0, elem(c.root.DType), c.root.Shape.Dims()...), true
		} else {
			d.argument(c)
		}
	}
	var flat value
	if c.known {
		flat = d.bits(d.reshape(c.whole, n))
	}
	if c.known && int64(covered)*c.root.DType.Size() >= largePiece*int64(len(at)) {
		for _, first := range at {
			flat = d.put(flat, d.bits(c.pieces[first]), first)
		}
	} else {
		var parts []value
		next := 0
		for _, first := range at {
			if next < first {
				parts = append(parts, d.cut(flat, 0, next, first))
			}
			parts = append(parts, d.bits(c.pieces[first]))
			next = first + c.pieces[first].len()
		}
		if next < n {
			parts = append(parts, d.cut(flat, 0, next, n))
		}
		flat = d.concat(0, parts...)
	}
	c.whole, c.known = d.reshape(d.bitcast(flat, elem(c.root.DType)), c.root.Shape.Dims()...), true
	clear(c.pieces)
}

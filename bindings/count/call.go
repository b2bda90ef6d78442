package count

import (
	"errors"
	"fmt"

	"github.com/graftlm/graft/bindings"
)

// types is a set of element types: bit i stands for DType i.
type types uint

func of(all ...bindings.DType) (s types) {
	for _, t := range all {
		s |= 1 << t
	}
	return s
}

var (
	floats = of(bindings.F32, bindings.BF16, bindings.F64)
	exact  = of(bindings.F32, bindings.F64) // parameters, statistics, losses
	ints   = of(bindings.I32)
	words  = of(bindings.U32)
	bytes  = of(bindings.U8)
	single = of(bindings.F32)
)

// stat is the type of statistics, gradients of parameters and losses beside
// activations of type t.
func stat(t bindings.DType) types {
	if t == bindings.F64 {
		return of(bindings.F64)
	}
	return single
}

// param is the types of a weight beside activations of type t.
func param(t bindings.DType) types { return of(t) | stat(t) }

// operand is one tensor of a call.
type operand struct {
	name string
	t    bindings.Tensor
}

// call collects the operands of one operation and the first fault in them.
type call struct {
	d       *Device
	op      string
	in, out []operand
	scratch bindings.Tensor
	inPlace [][2]bindings.Tensor
	err     error
}

func (d *Device) call(op string) *call { return &call{d: d, op: op} }

func (c *call) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// typed checks type and shape; -1 stands for any size.
func (c *call) typed(name string, t bindings.Tensor, want types, dims []int) {
	if !t.Valid() {
		c.fail("%s is missing", name)
		return
	}
	if want&of(t.DType) == 0 {
		c.fail("%s has type %s, which does not fit the other arguments", name, t.DType)
	}
	ok := t.Shape.Rank == len(dims)
	for i, n := range dims {
		ok = ok && (n < 0 || t.Shape.Dim[i] == n)
	}
	if !ok {
		c.fail("%s has shape %v, want %v", name, t.Shape.Dims(), dims)
	}
}

// reads is an input.
func (c *call) reads(name string, t bindings.Tensor, want types, dims ...int) {
	c.typed(name, t, want, dims)
	c.in = append(c.in, operand{name, t})
}

// mayRead is an input that may be absent.
func (c *call) mayRead(name string, t bindings.Tensor, want types, dims ...int) {
	if t.Valid() {
		c.reads(name, t, want, dims...)
	}
}

// writes is an output.
func (c *call) writes(name string, t bindings.Tensor, want types, dims ...int) {
	c.typed(name, t, want, dims)
	c.out = append(c.out, operand{name, t})
}

// mayWrite is an output that may be absent.
func (c *call) mayWrite(name string, t bindings.Tensor, want types, dims ...int) {
	if t.Valid() {
		c.writes(name, t, want, dims...)
	}
}

// adds is an output that is added to, so that it has to have contents.
func (c *call) adds(name string, t bindings.Tensor, want types, dims ...int) {
	c.writes(name, t, want, dims...)
	if t.Valid() && !c.d.filled(t) {
		c.fail("adds to %s (%v), which nothing wrote", name, t)
	}
}

// mayAdd is the same for an output that may be absent.
func (c *call) mayAdd(name string, t bindings.Tensor, want types, dims ...int) {
	if t.Valid() {
		c.adds(name, t, want, dims...)
	}
}

// gradient is that of an activation, written or added to; it may be absent.
func (c *call) gradient(name string, t bindings.Tensor, how bindings.Write, want types, dims ...int) {
	if how == bindings.Accumulate {
		c.mayAdd(name, t, want, dims...)
		return
	}
	c.mayWrite(name, t, want, dims...)
}

// may allows an output to be exactly that input.
func (c *call) may(out, in bindings.Tensor) {
	c.inPlace = append(c.inPlace, [2]bindings.Tensor{out, in})
}

// uses is the scratch.
func (c *call) uses(t bindings.Tensor) {
	if t.Valid() {
		c.scratch = t
		if t.DType != bindings.U8 {
			c.fail("scratch has type %s, want u8", t.DType)
		}
	}
}

// done checks memory, and counts.
func (c *call) done(flops float64) {
	d := c.d
	if d.err != nil {
		return
	}
	if c.err == nil {
		c.err = errors.Join(c.lifetimes(), c.overlaps())
	}
	if c.err != nil {
		d.err = &bindings.OpError{Op: c.op, Err: c.err}
		return
	}
	for _, o := range c.out {
		d.mark(o.t)
	}
	d.Calls[c.op]++
	d.Flops += flops
}

func (c *call) lifetimes() error {
	if c.scratch.Valid() {
		if err := c.d.live(c.scratch); err != nil {
			return err
		}
		c.d.forget(c.scratch)
	}
	for _, o := range c.in {
		if err := c.d.live(o.t); err != nil {
			return err
		}
		if !c.d.filled(o.t) {
			return fmt.Errorf("reads %s (%v), which nothing wrote", o.name, o.t)
		}
	}
	for _, o := range append(c.out, operand{"scratch", c.scratch}) {
		if !o.t.Valid() {
			continue
		}
		if err := c.d.live(o.t); err != nil {
			return err
		}
		if s := o.t.Slot.Space; s != bindings.Trainable && s != bindings.Activations {
			return fmt.Errorf("writes %s (%v): a program may not write to the %s arena", o.name, o.t, s)
		}
	}
	return nil
}

func (c *call) overlaps() error {
	outs := c.out
	if c.scratch.Valid() {
		outs = append(outs, operand{"scratch", c.scratch})
	}
	for i, o := range outs {
		for _, other := range append(outs[:i:i], c.in...) {
			if o.t.Len() > 0 && other.t.Len() > 0 && o.t.Overlaps(other.t) && !c.allowed(o.t, other.t) {
				return fmt.Errorf("%s (%v) overlaps %s (%v)", o.name, o.t, other.name, other.t)
			}
		}
	}
	return nil
}

func (c *call) allowed(out, in bindings.Tensor) bool {
	if out.Offset() != in.Offset() || out.Bytes() != in.Bytes() || out.DType != in.DType {
		return false
	}
	for _, p := range c.inPlace {
		if p[0] == out && p[1] == in {
			return true
		}
	}
	return false
}

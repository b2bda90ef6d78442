// Package count is the device that computes nothing. A program read by it
// leaves three things: the peak of the arenas, which is the memory plan; the
// number of calls and of floating-point operations; and the first fault, for
// it is also the type checker of every other device. It checks
//
//   - types and shapes, as bindings.Ops documents them;
//   - overlap: an output overlaps no other argument, unless the operation says
//     "in place" and it is exactly that input;
//   - memory: use after release, activations that are read before they are
//     written, writes to the frozen and staging arenas.
//
// What depends on values (ids in range, sorted boundaries) is not seen here.
//
//	m := bindings.NewMemory()
//	d := count.New(m)
//	program(d)
//	if err := d.Err(); err != nil { ... }
//	fmt.Println(m.Peak(), d.Flops)
package count

import (
	"fmt"

	"github.com/graftlm/graft/bindings"
)

var _ bindings.Ops = (*Device)(nil)

// Device counts and checks. After the first fault it does nothing.
type Device struct {
	Calls map[string]int // by operation, named as in the C interface
	Flops float64        // of matrix products and attention; the rest is bound by memory
	// Logits is the scratch of LinearCrossEntropy, where the activations with it
	// were the most.
	Logits Held

	mem     *bindings.Memory
	written map[int32][]span // of activations, by serial
	err     error
}

// Held is what a part of the activations took, and how high they stood then.
type Held struct{ Bytes, Top int64 }

// span is a range of bytes of an arena.
type span struct{ from, to int64 }

// New makes a counting device over the arenas that the program allocates from.
// With nil it checks each call by itself and knows nothing of lifetimes.
func New(m *bindings.Memory) *Device {
	return &Device{Calls: map[string]int{}, mem: m, written: map[int32][]span{}}
}

// Err is the first fault, a *bindings.OpError, or nil.
func (d *Device) Err() error { return d.err }

// Ops is the number of operations read.
func (d *Device) Ops() (n int) {
	for _, c := range d.Calls {
		n += c
	}
	return n
}

// live reports a tensor that was released.
func (d *Device) live(t bindings.Tensor) (err error) {
	if d.mem == nil {
		return nil
	}
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v is used after its release", t)
		}
	}()
	d.mem.Root(t.Slot)
	return nil
}

// mark notes that a tensor has contents.
func (d *Device) mark(t bindings.Tensor) {
	if d.mem == nil || t.Slot.Space != bindings.Activations {
		return
	}
	add := span{t.Offset(), t.Offset() + t.Bytes()}
	var kept []span
	for _, s := range d.written[t.Slot.Serial] {
		if s.to < add.from || s.from > add.to {
			kept = append(kept, s)
			continue
		}
		add = span{min(s.from, add.from), max(s.to, add.to)}
	}
	d.written[t.Slot.Serial] = append(kept, add)
}

// forget notes that an operation left arbitrary bytes in its scratch.
func (d *Device) forget(t bindings.Tensor) { delete(d.written, t.Slot.Serial) }

// filled reports whether every byte of a tensor was written.
func (d *Device) filled(t bindings.Tensor) bool {
	if d.mem == nil || t.Slot.Space != bindings.Activations || t.Len() == 0 {
		return true
	}
	for _, s := range d.written[t.Slot.Serial] {
		if s.from <= t.Offset() && t.Offset()+t.Bytes() <= s.to {
			return true
		}
	}
	return false
}

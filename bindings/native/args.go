//go:build cgo

package native

/*
#include <stdlib.h>
#include "trampoline.h"
*/
import "C"

import (
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

// tensor is a tensor as C sees it. One that leaves its arena becomes an absent
// one, and the operation fails.
func (d *device) tensor(t bindings.Tensor) (c C.graft_tensor) {
	if !t.Valid() {
		return c
	}
	data, err := d.address(t)
	if err != nil {
		d.fail("tensor", err)
		return c
	}
	c.data = data
	c.dtype = C.int32_t(t.DType)
	c.rank = C.int32_t(max(t.Shape.Rank, 1))
	c.shape[0] = 1
	for i, n := range t.Shape.Dim[:t.Shape.Rank] {
		c.shape[i] = C.int64_t(n)
	}
	c.pitch = C.int64_t(t.Cols())
	return c
}

func (d *device) weight(w bindings.Weight) C.graft_weight {
	return C.graft_weight{
		data: d.tensor(w.Data), absmax: d.tensor(w.Absmax), nested: d.tensor(w.Nested), offset: d.tensor(w.Offset),
		out: C.int64_t(w.Out), in: C.int64_t(w.In),
	}
}

// lowRank writes the adapters of a call into the device's C memory.
func (d *device) lowRank(adapters []bindings.LowRank, da, db []bindings.Tensor) (*C.graft_low_rank, C.int64_t) {
	n := len(adapters)
	if n == 0 {
		return nil, 0
	}
	if n > d.room {
		C.free(unsafe.Pointer(d.adapters))
		d.adapters = (*C.graft_low_rank)(C.calloc(C.size_t(n), C.sizeof_graft_low_rank))
		d.room = n
	}
	list := unsafe.Slice(d.adapters, n)
	for i, a := range adapters {
		list[i] = C.graft_low_rank{
			a: d.tensor(a.A), b: d.tensor(a.B), xa: d.tensor(a.XA), scale: C.float(a.Scale),
			drop: d.dropout(a.Drop), gate: d.tensor(a.Gate),
		}
		if i < len(da) {
			list[i].da = d.tensor(da[i])
		}
		if i < len(db) {
			list[i].db = d.tensor(db[i])
		}
	}
	return d.adapters, C.int64_t(n)
}

func (d *device) dropout(p bindings.Dropout) C.graft_dropout {
	return C.graft_dropout{
		p: C.float(p.P), threshold: C.uint32_t(p.Threshold()), site: C.uint32_t(p.Site), seed: d.tensor(p.Seed),
	}
}

func flag(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// fail ends an operation, and keeps the first failure of a program.
func (d *device) fail(op string, err error) {
	if d.profiled != nil {
		d.profiled.ended(op)
	}
	d.keep(op, err)
}

func (d *device) keep(op string, err error) {
	if d.err == nil && err != nil {
		d.err = &bindings.OpError{Op: op, Err: err}
	}
}

// ready reports whether an operation is to be issued: nothing failed before it,
// and the table has it.
func (d *device) ready(op string, has C.int) bool {
	if d.err == nil && has == 0 {
		d.fail(op, bindings.ErrNotImplemented)
	}
	if d.profiled != nil {
		d.profiled.begins()
	}
	return d.err == nil
}

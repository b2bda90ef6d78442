//go:build cgo

package native

/*
#include <stdlib.h>
#include "trampoline.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

// device is a context and its arenas; it is also the bindings.Ops of its
// programs.
type device struct {
	table
	profile  bindings.Profile
	context  *C.graft_context
	arenas   [bindings.NumSpaces]arena
	adapters *C.graft_low_rank // room for the adapters of a call: C memory, for it holds pointers
	room     int
	debug    bool
	profiled *profiled // nil: operations are not timed
	err      error     // the first failure of the program that runs now
}

var errClosed = errors.New("device is closed")

// address is where a tensor lies, after a check that it does.
func (d *device) address(t bindings.Tensor) (unsafe.Pointer, error) {
	if !t.Valid() {
		return nil, fmt.Errorf("%w: absent tensor", errInvalid)
	}
	a := d.arenas[t.Slot.Space]
	if t.Offset() < 0 || t.Bytes() < 0 || t.Offset()+t.Bytes() > a.bytes {
		return nil, fmt.Errorf("%w: %v leaves its arena of %d bytes", errInvalid, t, a.bytes)
	}
	return unsafe.Add(a.data, t.Offset()), nil
}

func (d *device) Upload(dst bindings.Tensor, src []byte) error {
	to, err := d.transfer(dst, len(src))
	if err != nil || len(src) == 0 {
		return wrap("upload", err)
	}
	return wrap("upload", d.take(C.graft_call_upload(d.api, d.context, to, unsafe.Pointer(&src[0]), C.int64_t(len(src)))))
}

func (d *device) Download(dst []byte, src bindings.Tensor) error {
	from, err := d.transfer(src, len(dst))
	if err != nil || len(dst) == 0 {
		return wrap("download", err)
	}
	return wrap("download", d.take(C.graft_call_download(d.api, d.context, unsafe.Pointer(&dst[0]), from, C.int64_t(len(dst)))))
}

func (d *device) transfer(t bindings.Tensor, n int) (unsafe.Pointer, error) {
	if d.context == nil {
		return nil, errClosed
	}
	if int64(n) != t.Bytes() {
		return nil, fmt.Errorf("%w: %d bytes for %v, which has %d", errInvalid, n, t, t.Bytes())
	}
	return d.address(t)
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &bindings.OpError{Op: op, Err: err}
}

func (d *device) Close() error {
	if d.context == nil {
		return nil
	}
	for s, a := range d.arenas {
		if a.data != nil {
			C.graft_call_release(d.api, d.context, a.data, C.int64_t(a.bytes))
		}
		d.arenas[s] = arena{}
	}
	C.free(unsafe.Pointer(d.adapters))
	C.graft_call_context_destroy(d.api, d.context)
	d.context, d.adapters, d.room = nil, nil, 0
	live.Add(-1)
	return nil
}

// program is issued at each launch, or, where the table can record, captured
// at the first one.
type program struct {
	d     *device
	name  string
	issue func(bindings.Ops)
	graph unsafe.Pointer
}

func (d *device) Prepare(name string, issue func(bindings.Ops)) (bindings.Program, error) {
	if d.context == nil {
		return nil, fmt.Errorf("prepare %s: %w", name, errClosed)
	}
	return &program{d: d, name: name, issue: issue}, nil
}

// Run issues operations once.
func (d *device) Run(issue func(bindings.Ops)) error {
	if d.context == nil {
		return errClosed
	}
	d.err = nil
	issue(d)
	return d.err
}

// Launch issues the operations the first time, so that libraries and kernels
// are loaded, which a capture does not allow, and a fault has the name of its
// operation; then it captures them. Later launches replay.
func (p *program) Launch() error {
	switch {
	case p.d.context == nil:
		return errClosed
	case p.graph != nil && p.d.profiled == nil:
		return p.d.take(C.graft_call_graph_launch(p.d.api, p.d.context, p.graph))
	}
	if err := p.d.Run(p.issue); err != nil || p.graph != nil || p.d.debug || p.d.profiled != nil || C.graft_can_capture(p.d.api) == 0 {
		return err
	}
	if err := p.capture(); err != nil {
		return fmt.Errorf("capture %s: %w", p.name, err)
	}
	return nil
}

func (p *program) capture() error {
	runtime.LockOSThread() // a capture belongs to the thread that began it
	defer runtime.UnlockOSThread()
	if err := p.d.take(C.graft_call_capture_begin(p.d.api, p.d.context)); err != nil {
		return err
	}
	err := p.d.Run(p.issue)
	err = errors.Join(err, p.d.take(C.graft_call_capture_end(p.d.api, p.d.context, &p.graph))) // it ends the recording also after a failure
	if err != nil {
		p.Close() // what was recorded is not the whole program
	}
	return err
}

func (p *program) Close() error {
	if p.graph != nil && p.d.context != nil {
		C.graft_call_graph_destroy(p.d.api, p.d.context, p.graph)
	}
	p.graph = nil
	return nil
}

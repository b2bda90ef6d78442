//go:build cgo

package native

// #include "trampoline.h"
import "C"

import (
	"fmt"
	"time"

	"github.com/graftlm/graft/bindings"
)

// hasClock is nil where the table of an open device has a clock of its own.
func (d *device) hasClock() error {
	switch {
	case d.context == nil:
		return errClosed
	case C.graft_has_clock(d.api) == 0:
		return fmt.Errorf("%w: a clock of its own", bindings.ErrNotImplemented)
	}
	return nil
}

func (d *device) Mark(i int) error {
	if err := d.hasClock(); err != nil {
		return err
	}
	return d.take(C.graft_call_mark(d.api, d.context, C.int32_t(i)))
}

func (d *device) Elapsed(from, to int) (time.Duration, error) {
	if err := d.hasClock(); err != nil {
		return 0, err
	}
	var seconds C.double
	err := d.take(C.graft_call_elapsed(d.api, d.context, C.int32_t(from), C.int32_t(to), &seconds))
	return time.Duration(float64(seconds) * float64(time.Second)), err
}

// Profile times the operations of what run launches, one after the other; no
// recording is replayed. By the device's clock nothing is waited for in between;
// a device without one is waited for after each operation.
func (d *device) Profile(run func() error) (map[string]bindings.OpTime, error) {
	if d.context == nil {
		return nil, errClosed
	}
	p := &profiled{d: d, times: map[string]bindings.OpTime{}, marks: d.hasClock() == nil}
	d.profiled = p
	defer func() { d.profiled = nil }()
	if err := run(); err != nil {
		return p.times, err
	}
	return p.times, p.read()
}

// profiled are the times of operations, and those that were issued and not yet
// read: operation i lies between the marks 2i and 2i+1.
type profiled struct {
	d      *device
	times  map[string]bindings.OpTime
	marks  bool
	issued []string
	began  time.Time
}

const mostIssued = 1 << 12 // half as many as there are marks would do

func (p *profiled) begins() {
	if !p.marks {
		p.began = time.Now()
		return
	}
	p.d.keep("mark", p.d.Mark(2*len(p.issued)))
}

func (p *profiled) ended(op string) {
	if !p.marks {
		p.d.keep(op, p.d.take(C.graft_call_synchronize(p.d.api, p.d.context)))
		p.add(op, time.Since(p.began))
		return
	}
	p.d.keep("mark", p.d.Mark(2*len(p.issued)+1))
	if p.issued = append(p.issued, op); len(p.issued) == mostIssued {
		p.d.keep("mark", p.read())
	}
}

// read waits for what was issued and adds its times.
func (p *profiled) read() error {
	if err := p.d.take(C.graft_call_synchronize(p.d.api, p.d.context)); err != nil {
		return err
	}
	for i, op := range p.issued {
		t, err := p.d.Elapsed(2*i, 2*i+1)
		if err != nil {
			return err
		}
		p.add(op, t)
	}
	p.issued = p.issued[:0]
	return nil
}

func (p *profiled) add(op string, t time.Duration) {
	all := p.times[op]
	all.Calls++
	all.Time += t
	p.times[op] = all
}

package graft

import (
	"errors"
	"time"

	"github.com/graftlm/graft/bindings"
)

// clockTimes are where the host's time with a device went. idle is the time
// between what a download gave and the next call: then the device has nothing
// to do. Where the device has a clock, worked is what it gave to uploads and
// launches.
type clockTimes struct {
	upload, launch, wait, idle, worked time.Duration
	done                               time.Time // of the last download

	marker bindings.Marker // nil: the device has no clock
	marks  int             // since the last download: two around each upload and launch
}

func (c *clockTimes) begin() time.Time {
	now := time.Now()
	if !c.done.IsZero() {
		c.idle += now.Sub(c.done)
		c.done = time.Time{}
	}
	return now
}

// call times a call of the host, and has the device mark when it is done with it.
func (c *clockTimes) call(took *time.Duration, call func() error) error {
	began := c.begin()
	defer func() { *took += time.Since(began) }()
	if c.marker == nil {
		return call()
	}
	if err := c.marker.Mark(c.marks); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	c.marks += 2
	return c.marker.Mark(c.marks - 1)
}

// read adds what the device's clock says, after a download.
func (c *clockTimes) read() error {
	for i := 0; i < c.marks; i += 2 {
		t, err := c.marker.Elapsed(i, i+1)
		if err != nil {
			return err
		}
		c.worked += t
	}
	c.marks = 0
	return nil
}

// reset forgets what was timed so far.
func (c *clockTimes) reset() { *c = clockTimes{marker: c.marker} }

// clockedBackend opens a device whose calls are timed.
type clockedBackend struct {
	bindings.Backend
	device bindings.Device // as it is
	clock  *clockTimes
}

func (b *clockedBackend) Open(p bindings.Plan) (bindings.Device, error) {
	d, err := b.Backend.Open(p)
	if err != nil {
		return nil, err
	}
	b.device, b.clock = d, &clockTimes{}
	if m, ok := d.(bindings.Marker); ok {
		switch err := m.Mark(0); {
		case err == nil:
			b.clock.marker = m
		case !errors.Is(err, bindings.ErrNotImplemented):
			return nil, errors.Join(err, d.Close())
		}
	}
	return clockedDevice{d, b.clock}, nil
}

type clockedDevice struct {
	bindings.Device
	clock *clockTimes
}

func (d clockedDevice) Upload(dst bindings.Tensor, src []byte) error {
	return d.clock.call(&d.clock.upload, func() error { return d.Device.Upload(dst, src) })
}

func (d clockedDevice) Download(dst []byte, src bindings.Tensor) error {
	began := d.clock.begin()
	err := d.Device.Download(dst, src)
	d.clock.done = time.Now()
	d.clock.wait += d.clock.done.Sub(began)
	if err != nil {
		return err
	}
	return d.clock.read()
}

func (d clockedDevice) Prepare(name string, program func(bindings.Ops)) (bindings.Program, error) {
	p, err := d.Device.Prepare(name, program)
	if err != nil {
		return nil, err
	}
	return clockedProgram{p, d.clock}, nil
}

type clockedProgram struct {
	bindings.Program
	clock *clockTimes
}

func (p clockedProgram) Launch() error {
	return p.clock.call(&p.clock.launch, p.Program.Launch)
}

package graft

import (
	"time"

	"github.com/graftlm/graft/bindings"
)

// clockTimes are where the host's time with a device went. idle is the time
// between what a download gave and the next call: then the device has nothing
// to do.
type clockTimes struct {
	upload, launch, wait, idle time.Duration
	done                       time.Time // of the last download
}

func (c *clockTimes) begin() time.Time {
	now := time.Now()
	if !c.done.IsZero() {
		c.idle += now.Sub(c.done)
		c.done = time.Time{}
	}
	return now
}

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
	return clockedDevice{d, b.clock}, nil
}

type clockedDevice struct {
	bindings.Device
	clock *clockTimes
}

func (d clockedDevice) Upload(dst bindings.Tensor, src []byte) error {
	began := d.clock.begin()
	defer func() { d.clock.upload += time.Since(began) }()
	return d.Device.Upload(dst, src)
}

func (d clockedDevice) Download(dst []byte, src bindings.Tensor) error {
	began := d.clock.begin()
	defer func() {
		d.clock.done = time.Now()
		d.clock.wait += d.clock.done.Sub(began)
	}()
	return d.Device.Download(dst, src)
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
	began := p.clock.begin()
	defer func() { p.clock.launch += time.Since(began) }()
	return p.Program.Launch()
}

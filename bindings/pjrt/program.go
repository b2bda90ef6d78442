//go:build cgo && (linux || darwin)

package pjrt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gomlx/gopjrt/pjrt"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/pjrt/trace"
)

// module is a compiled program, shared by all programs with the same text.
type module struct {
	trace.Module
	key        [32]byte
	executable *pjrt.LoadedExecutable
	users      int
}

func (m *module) destroy() error {
	if m.executable == nil {
		return nil
	}
	err := m.executable.Destroy()
	runtime.KeepAlive(m.executable)
	m.executable = nil
	return err
}

// program is one use of a module.
type program struct {
	d *device
	m *module
}

// Prepare traces and compiles.
func (d *device) Prepare(name string, issue func(bindings.Ops)) (bindings.Program, error) {
	if d.closed {
		return nil, fmt.Errorf("prepare %s: %w", name, errClosed)
	}
	traced, err := trace.Read(name, d.Profile(), issue, d.layout)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", name, err)
	}
	key := sha256.Sum256([]byte(traced.Text))
	m, ok := d.modules[key]
	if !ok {
		m = &module{Module: traced, key: key}
		if len(traced.Results) > 0 { // the library refuses a module that has none, and it does nothing
			if err := d.compile(m); err != nil {
				return nil, fmt.Errorf("prepare %s: %w", name, err)
			}
		}
		d.modules[key] = m
	}
	m.users++
	return &program{d, m}, nil
}

func (d *device) compile(m *module) error {
	c := bindings.Compiled{Name: m.Name, Calls: m.Calls, Lines: m.Lines}
	if d.announce != nil {
		d.announce(c)
	}
	start := time.Now()
	config := d.client.Compile().WithStableHLO([]byte(m.Text))
	if d.client.Platform() == "cpu" {
		// Each product that XNNPACK takes keeps its packed operand for the next
		// launch: hundreds of megabytes in a step.
		override(config, "xla_cpu_use_xnnpack", false)
	}
	e, err := config.Done()
	if err != nil {
		return fmt.Errorf("compile: %w", kind(err))
	}
	if e.NumOutputs != len(m.Results) {
		err := fmt.Errorf("compile: the module has %d results, the executable %d", len(m.Results), e.NumOutputs)
		return errors.Join(err, e.Destroy())
	}
	m.executable = e
	native.ReleaseHeap()
	stats := e.OnDeviceMemoryUsageStats
	c.Seconds = time.Since(start).Seconds()
	c.Arguments, c.Results, c.Aliased, c.Temporary, c.Code = stats.Inputs, stats.Outputs, stats.Aliases, stats.Temporary, stats.GeneratedCode
	d.compiled = append(d.compiled, c)
	if d.announce != nil {
		d.announce(c)
	}
	return nil
}

// Launch passes every slot that the module reads, gives away those that it
// writes, and takes the results in their place. The library checks neither the
// number nor the type nor the life of buffers, so it is done here.
func (p *program) Launch() error {
	d, m := p.d, p.m
	switch {
	case d.closed || m == nil:
		return errClosed
	case d.failed != nil:
		return d.failed
	case len(m.Results) == 0:
		return nil
	}
	args := make([]*pjrt.Buffer, len(m.Args))
	for i, t := range m.Args {
		s := d.slots[t.Slot.Serial]
		if s == nil || s.root != t {
			return fmt.Errorf("%s: %v is not what the program was compiled for", m.Name, t)
		}
		if err := d.flush(s); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		if s.buffer == nil {
			if t.Slot.Space != bindings.Trainable {
				return fmt.Errorf("%s: %v is read and was never uploaded", m.Name, t)
			}
			if err := d.put(s, make([]byte, t.Bytes())); err != nil { // as an arena begins
				return fmt.Errorf("%s: %w", m.Name, err)
			}
		}
		args[i] = s.buffer
	}
	out, err := m.executable.Execute(args...).SetDonate(m.Donated).OnDeviceByNum(d.options.Device).Done()
	runtime.KeepAlive(args)
	if err != nil {
		d.failed = fmt.Errorf("%s: %w", m.Name, kind(err))
		return d.failed
	}
	for i, t := range m.Results {
		d.slots[t.Slot.Serial].buffer = out[i] // the old one was donated
	}
	return nil
}

// Close frees the module when its last program is closed.
func (p *program) Close() error {
	m := p.m
	p.m = nil
	if m == nil || p.d.closed {
		return nil
	}
	if m.users--; m.users > 0 {
		return nil
	}
	delete(p.d.modules, m.key)
	return m.destroy()
}

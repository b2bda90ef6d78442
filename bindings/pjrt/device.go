//go:build cgo && (linux || darwin)

package pjrt

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/gomlx/gopjrt/dtypes"
	"github.com/gomlx/gopjrt/pjrt"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt/trace"
)

// device holds one buffer for each slot that outlives a program.
type device struct {
	*backend
	slots    map[int32]*slot      // by serial
	modules  map[[32]byte]*module // by the text of the module
	compiled []bindings.Compiled
	failed   error // of a launch: what it was given is lost
	closed   bool
}

// slot is the memory of one allocation.
type slot struct {
	root   bindings.Tensor // the whole of it, in the shape that programs take it in
	buffer *pjrt.Buffer    // nil: nothing was uploaded or written
	host   []byte          // contents while it is filled range by range
	stale  bool            // host is newer than buffer
	filled int64           // bytes of a frozen slot that were given
}

var errClosed = errors.New("device is closed")

// layout is the whole slot of a tensor, for the tracer.
func (d *device) layout(t bindings.Tensor) bindings.Tensor { return d.slot(t).root }

// slot finds the slot of a tensor, or begins it. A frozen matrix that is given
// by rows has its rows from the first of them.
func (d *device) slot(t bindings.Tensor) *slot {
	s, ok := d.slots[t.Slot.Serial]
	if !ok {
		s = &slot{root: trace.Root(t)}
		n, cols := s.root.Len(), t.Cols()
		if t.Slot.Space == bindings.Frozen && t.Shape.Rank == 2 && cols > 0 && n%cols == 0 {
			s.root.Shape = bindings.ShapeOf(n/cols, cols)
		}
		if t.Slot.Space != bindings.Activations {
			d.slots[t.Slot.Serial] = s
		}
	}
	return s
}

func (d *device) check(op string, t bindings.Tensor, n int) error {
	err := d.failed
	switch {
	case d.closed:
		err = errClosed
	case !t.Valid():
		err = errors.New("absent tensor")
	case int64(n) != t.Bytes():
		err = fmt.Errorf("%d bytes for %v, which has %d", n, t, t.Bytes())
	case t.Slot.Space == bindings.Activations:
		err = fmt.Errorf("%v: activations exist only inside of a program", t)
	case t.Offset()+t.Bytes() > t.Slot.Offset+t.Slot.Bytes || t.First < 0:
		err = fmt.Errorf("%v leaves its slot of %d bytes", t, t.Slot.Bytes)
	}
	if err != nil {
		return &bindings.OpError{Op: op, Err: err}
	}
	return nil
}

// Upload fills a slot or a range of it. What is the whole slot goes to the
// device at once, ranges when the slot is complete or next used.
func (d *device) Upload(dst bindings.Tensor, src []byte) error {
	if err := d.check("upload", dst, len(src)); err != nil || len(src) == 0 {
		return err
	}
	s := d.slot(dst)
	if dst.DType != s.root.DType {
		return &bindings.OpError{Op: "upload", Err: fmt.Errorf("%v into a slot of %s", dst, s.root.DType)}
	}
	if dst.Bytes() == s.root.Bytes() {
		s.host, s.stale = nil, false
		return d.put(s, src)
	}
	if s.host == nil {
		host := make([]byte, s.root.Bytes())
		if s.buffer != nil {
			if err := s.buffer.ToHost(host); err != nil {
				return &bindings.OpError{Op: "upload", Err: kind(err)}
			}
		}
		s.host = host
	}
	copy(s.host[int64(dst.First)*dst.DType.Size():], src)
	s.stale = true
	s.filled += int64(len(src))
	if dst.Slot.Space == bindings.Frozen && s.filled == s.root.Bytes() {
		return d.flush(s)
	}
	return nil
}

// flush sends what was filled range by range. Staging keeps its copy: it is
// filled again before each launch.
func (d *device) flush(s *slot) error {
	if !s.stale {
		return nil
	}
	if err := d.put(s, s.host); err != nil {
		return err
	}
	s.stale = false
	if s.root.Slot.Space != bindings.Staging {
		s.host = nil
	}
	return nil
}

// put makes the buffer of a slot.
func (d *device) put(s *slot, src []byte) error {
	s.release()
	dtype := [...]dtypes.DType{dtypes.Float32, dtypes.BFloat16, dtypes.Float64, dtypes.Int32, dtypes.Uint32, dtypes.Uint8}[s.root.DType]
	b, err := d.client.BufferFromHost().FromRawData(src, dtype, s.root.Shape.Dims()).ToDeviceNum(d.options.Device).Done()
	if err != nil {
		return &bindings.OpError{Op: "upload", Err: kind(err)}
	}
	s.buffer = b
	return nil
}

// release frees the buffer. Its clean-up by the collector races with Destroy
// unless the buffer is still alive after it.
func (s *slot) release() {
	if b := s.buffer; b != nil {
		_ = b.Destroy()
		runtime.KeepAlive(b)
		s.buffer = nil
	}
}

// Download reads a tensor. What nothing was written to is zero.
func (d *device) Download(dst []byte, src bindings.Tensor) error {
	if err := d.check("download", src, len(dst)); err != nil || len(dst) == 0 {
		return err
	}
	s := d.slot(src)
	if err := d.flush(s); err != nil {
		return err
	}
	if s.buffer == nil {
		clear(dst)
		return nil
	}
	to := dst
	if src.Bytes() != s.root.Bytes() {
		to = make([]byte, s.root.Bytes())
	}
	if err := s.buffer.ToHost(to); err != nil {
		return &bindings.OpError{Op: "download", Err: kind(err)}
	}
	if len(to) != len(dst) {
		copy(dst, to[int64(src.First)*src.DType.Size():])
	}
	return nil
}

// Compiled lists the modules compiled so far.
func (d *device) Compiled() []bindings.Compiled { return d.compiled }

// Close frees every buffer and every executable.
func (d *device) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	for _, s := range d.slots {
		s.release()
	}
	var all []error
	for _, m := range d.modules {
		all = append(all, m.destroy())
	}
	d.slots, d.modules = nil, nil
	return errors.Join(all...)
}

// Package reference is every operation in plain Go loops: the oracle of the
// tests, and the device of builds without cgo. It is written to be read beside
// the formulas in bindings.Ops, one family of operations a file, backward
// beside forward; it is not fast.
//
// The float64 device works on tensors that are declared F64 and is the truth
// that the others are held to. The float32 device works on F32, and on BF16
// with float32 arithmetic rounded when stored. Sums are float64 on both.
//
//	dev, err := reference.New(reference.Float64).Open(memory.Peak())
//	step, err := dev.Prepare("step", program)
//	err = step.Launch()
//
// Temporaries are on the Go heap; scratch is filled with ones, NaN in every
// type, so that a layer that keeps something in it is found.
package reference

import (
	"fmt"
	"unsafe"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/count"
)

// Precision is the arithmetic of a reference device.
type Precision int

const (
	Float32 Precision = iota
	Float64
)

// real is an element type that the loops compute in.
type real interface{ float32 | float64 }

type backend struct{ precision Precision }

// New gives the backend of a precision.
func New(p Precision) bindings.Backend { return backend{p} }

func (b backend) Profile() bindings.Profile { return bindings.ReferenceProfile() }

func (b backend) Info() string {
	if b.precision == Float64 {
		return "reference loops in Go, float64"
	}
	return "reference loops in Go, float32"
}

// Open reserves the arenas. Its error is bindings.ErrOutOfMemory for a plan
// that no address space holds.
func (b backend) Open(p bindings.Plan) (bindings.Device, error) {
	if b.precision == Float64 {
		return open[float64](p)
	}
	return open[float32](p)
}

// device holds the arenas and is the implementation of every operation.
type device[F real] struct {
	arenas [bindings.NumSpaces][]byte
	types  *count.Device // checks the types and shapes of each call
	err    error         // the first failure since the launch
}

func open[F real](p bindings.Plan) (bindings.Device, error) {
	d := &device[F]{}
	for s, n := range p {
		if n < 0 || n > 1<<46 {
			return nil, fmt.Errorf("%s: %d bytes: %w", bindings.Space(s), n, bindings.ErrOutOfMemory)
		}
		if words := make([]uint64, (n+7)/8); n > 0 { // aligned for every type
			d.arenas[s] = unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
		}
	}
	return d, nil
}

func (d *device[F]) Close() error {
	d.arenas = [bindings.NumSpaces][]byte{}
	return nil
}

func (d *device[F]) Upload(dst bindings.Tensor, src []byte) error {
	return d.copy("upload", dst, src, true)
}

func (d *device[F]) Download(dst []byte, src bindings.Tensor) error {
	return d.copy("download", src, dst, false)
}

func (d *device[F]) copy(op string, t bindings.Tensor, host []byte, up bool) error {
	own, err := d.bytes(t)
	if err == nil && len(own) != len(host) {
		err = fmt.Errorf("%v has %d bytes and the host %d", t, len(own), len(host))
	}
	if err != nil {
		return &bindings.OpError{Op: op, Err: err}
	}
	if up {
		copy(own, host)
	} else {
		copy(host, own)
	}
	return nil
}

// bytes is the memory of a tensor.
func (d *device[F]) bytes(t bindings.Tensor) ([]byte, error) {
	if !t.Valid() || t.Len() == 0 {
		return nil, nil
	}
	arena := d.arenas[t.Slot.Space]
	if t.Offset() < 0 || t.Offset()+t.Bytes() > int64(len(arena)) {
		return nil, fmt.Errorf("%v lies outside of the %s arena, which has %d bytes", t, t.Slot.Space, len(arena))
	}
	return arena[t.Offset() : t.Offset()+t.Bytes()], nil
}

// Prepare keeps the program; a launch calls it.
func (d *device[F]) Prepare(name string, run func(bindings.Ops)) (bindings.Program, error) {
	return &program[F]{d, name, run}, nil
}

type program[F real] struct {
	device *device[F]
	name   string
	run    func(bindings.Ops)
}

func (p *program[F]) Launch() error {
	d := p.device
	d.types, d.err = count.New(nil), nil
	p.run(d)
	if d.err != nil {
		return fmt.Errorf("%s: %w", p.name, d.err)
	}
	return nil
}

func (p *program[F]) Close() error { return nil }

// begin reports whether an operation may run: nothing failed before, and the
// check of its arguments, which the caller made on d.types, found no fault.
func (d *device[F]) begin(op string, tensors ...bindings.Tensor) bool {
	if d.err == nil {
		d.err = d.types.Err()
	}
	for _, t := range tensors {
		if _, err := d.bytes(t); err != nil && d.err == nil {
			d.fail(op, "%v", err)
		}
		if t.Valid() && t.DType.Float() && (t.DType == bindings.F64) != (d.precision() == Float64) && d.err == nil {
			d.err = &bindings.OpError{Op: op, Err: fmt.Errorf("%w: %v on the %s", bindings.ErrNotImplemented, t, backend{d.precision()}.Info())}
		}
	}
	return d.err == nil
}

func (d *device[F]) precision() Precision {
	if unsafe.Sizeof(F(0)) == 8 {
		return Float64
	}
	return Float32
}

// fail keeps the first failure.
func (d *device[F]) fail(op, format string, args ...any) {
	if d.err == nil {
		d.err = &bindings.OpError{Op: op, Err: fmt.Errorf(format, args...)}
	}
}

package bindings

import (
	"fmt"
	"time"
)

// condition is a way in which a device fails. A target of errors.Is that covers
// it is found as well: so its kind in package failure, and with that the exit
// code, depends on no call that passes the error on.
type condition string

func (c condition) Error() string { return string(c) }
func (c condition) Is(target error) bool {
	k, ok := target.(interface{ Covers(error) bool })
	return ok && k.Covers(c)
}

// ErrNotImplemented says that a device has no such operation, or not for this
// type or size. The text names it.
var ErrNotImplemented error = condition("not implemented")

// ErrOutOfMemory says that a device could not give the planned bytes.
var ErrOutOfMemory error = condition("out of device memory")

// ErrUnavailable says that a backend or its device is not there.
var ErrUnavailable error = condition("device unavailable")

// OpError is a failure of one operation.
type OpError struct {
	Op  string
	Err error
}

func (e *OpError) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }
func (e *OpError) Unwrap() error { return e.Err }

// Backend is a kind of device that can be opened. Its profile is plain data:
// a plan needs nothing else.
type Backend interface {
	Profile() Profile
	// Info describes the hardware in a line, for reports.
	Info() string
	// Open reserves the planned bytes of every arena. It is the only
	// allocation that a device makes.
	Open(p Plan) (Device, error)
}

// Description is what a device is. Memory is in bytes; free is now.
type Description struct {
	Name        string   `json:"name"`
	Arch        string   `json:"arch"`
	Driver      string   `json:"driver,omitempty"`
	MemoryTotal int64    `json:"memory_total"`
	MemoryFree  int64    `json:"memory_free"`
	Library     string   `json:"library,omitempty"`    // the file of it
	Operations  []string `json:"operations,omitempty"` // that it has
}

// Describer is a backend that knows its device.
type Describer interface{ Describe() (Description, error) }

// Device holds the arenas and runs programs. It is used by one goroutine at a
// time. Close releases everything; it may be called twice.
type Device interface {
	// Upload writes a whole tensor, given little-endian in its own type;
	// Download reads one. They are not part of a program.
	Upload(dst Tensor, src []byte) error
	Download(dst []byte, src Tensor) error
	// Prepare reads a program: a function that issues the same operations, on
	// the same tensors, each time it is called. On the CPU launching calls it,
	// a CUDA device captures a graph at the first launch, PJRT compiles a module.
	Prepare(name string, program func(Ops)) (Program, error)
	Close() error
}

// Program is something that can be launched any number of times.
type Program interface {
	// Launch runs the program and returns the first failure of an operation.
	// The results are there when a Download returns.
	Launch() error
	Close() error
}

// Runner is a device that also runs operations where they are issued, once, as
// while weights are loaded: nothing is captured or compiled for them.
type Runner interface{ Run(issue func(Ops)) error }

// Marker is a device with a clock of its own. Mark i notes when all that was issued
// before it is done, and Elapsed tells what passed between two marks that a
// Download or a wait came after. A device without such a clock answers with
// ErrNotImplemented; a Profiler with one makes marks of its own, from 0.
type Marker interface {
	Mark(i int) error
	Elapsed(from, to int) (time.Duration, error)
}

// Profiler is a device that can time the operations of its programs, by name.
type Profiler interface {
	Profile(run func() error) (map[string]OpTime, error)
}

// OpTime is how often an operation ran, and how long in all.
type OpTime struct {
	Calls int           `json:"calls"`
	Time  time.Duration `json:"nanoseconds"`
}

// Compiler is a device that compiles its programs and knows what each takes.
type Compiler interface {
	// Compiled lists the programs compiled so far.
	Compiled() []Compiled
}

// Announcer is a backend that says when a program begins to compile, with
// Seconds 0, and again when it is ready.
type Announcer interface{ Announce(func(Compiled)) }

// Compiled is what a compiler says of a program. Memory is in bytes.
type Compiled struct {
	Name    string  `json:"name"`
	Calls   int     `json:"calls"`   // operations of the program
	Lines   int     `json:"lines"`   // of the module, one for each operation of the compiler
	Seconds float64 `json:"seconds"` // to compile

	Arguments int64 `json:"arguments"` // buffers that are read
	Results   int64 `json:"results"`
	Aliased   int64 `json:"aliased"` // results that take the memory of an argument
	Temporary int64 `json:"temporary"`
	Code      int64 `json:"code"`
}

// Peak is what the device holds while the program runs.
func (c Compiled) Peak() int64 { return c.Arguments + c.Results - c.Aliased + c.Temporary + c.Code }

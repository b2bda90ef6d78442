//go:build cgo

package native

/*
#cgo CXXFLAGS: -O3 -std=c++17 -Wall -Wextra -Wno-psabi -Wno-uninitialized -Wno-maybe-uninitialized
#cgo LDFLAGS: -ldl
#include "trampoline.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/graftlm/graft/bindings"
	_ "github.com/graftlm/graft/csrc" // its sources are compiled here
)

// Compiled reports whether this program has native devices.
const Compiled = true

// table is one library: the CPU's, or the one that was opened.
type table struct {
	api  *C.graft_api
	file string // of the library; "" for what is compiled in
}

func newTable(api *C.graft_api, where string) (table, error) {
	switch {
	case api == nil:
		return table{}, fmt.Errorf("%s: no function table", where)
	case api.abi_major != C.GRAFT_ABI_MAJOR:
		return table{}, fmt.Errorf("%s: it has version %d.%d of the interface, this program needs %d.%d; use the library of the same release", where, api.abi_major, api.abi_minor, C.GRAFT_ABI_MAJOR, C.GRAFT_ABI_MINOR)
	case api.struct_size < C.sizeof_graft_api:
		return table{}, fmt.Errorf("%s: its table has %d bytes, this program needs %d; use the library of the same release", where, api.struct_size, C.sizeof_graft_api)
	}
	return table{api, where}, nil
}

// errInvalid and errInternal are the codes that have no error of their own in
// bindings: a wrong call, and a fault of the library.
var (
	errInvalid  = errors.New("invalid argument")
	errInternal = errors.New("internal error")
)

// take turns a status into an error and frees it; here and nowhere else.
func (t table) take(s *C.graft_status) error {
	if s == nil {
		return nil
	}
	defer C.graft_call_status_free(t.api, s)
	kind := errInternal
	switch C.graft_call_status_code(t.api, s) {
	case C.GRAFT_INVALID_ARGUMENT:
		kind = errInvalid
	case C.GRAFT_RESOURCE_EXHAUSTED:
		kind = bindings.ErrOutOfMemory
	case C.GRAFT_UNIMPLEMENTED:
		kind = bindings.ErrNotImplemented
	case C.GRAFT_UNAVAILABLE:
		kind = bindings.ErrUnavailable
	}
	return fmt.Errorf("%w: %s", kind, C.GoString(C.graft_call_status_message(t.api, s)))
}

// backend is a table with a profile.
type backend struct {
	table
	profile bindings.Profile
	options Options
}

// CPU is the backend that is always there.
func CPU(o Options) bindings.Backend {
	if o.Threads <= 0 {
		o.Threads = runtime.NumCPU() // cores that the process may use
	}
	o.Device = 0
	return backend{table{C.graft_cpu_api(), ""}, bindings.CPUProfile(o.Threads), o}
}

func (b backend) Profile() bindings.Profile { return b.profile }

// info asks the library about its device; it fails where that is not there.
func (b backend) info() (info C.graft_device_info, err error) {
	info.struct_size = C.sizeof_graft_device_info
	err = b.take(C.graft_call_device_info(b.api, C.int32_t(b.options.Device), &info))
	return info, err
}

// Describe gives what the library says of its device, and the operations that
// its table has.
func (b backend) Describe() (bindings.Description, error) {
	info, err := b.info()
	if err != nil {
		return bindings.Description{}, err
	}
	d := bindings.Description{
		Name: C.GoString(&info.name[0]), Arch: C.GoString(&info.arch[0]), Driver: C.GoString(&info.driver[0]),
		MemoryTotal: int64(info.memory_total), MemoryFree: int64(info.memory_free), Library: b.file,
	}
	for i := C.int(0); C.graft_operation(i) != nil; i++ {
		if C.graft_has_operation(b.api, i) != 0 {
			d.Operations = append(d.Operations, C.GoString(C.graft_operation(i)))
		}
	}
	return d, nil
}

func (b backend) Info() string {
	info, err := b.info()
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("%s (%s), %.1f GiB", C.GoString(&info.name[0]), C.GoString(&info.arch[0]), float64(info.memory_total)/(1<<30))
	if b.profile.Threads > 0 {
		return fmt.Sprintf("%s, %d threads", s, b.profile.Threads)
	}
	return fmt.Sprintf("%s, driver %s", s, C.GoString(&info.driver[0]))
}

var live atomic.Int64

// Live is the number of devices that are open, for tests of leaks.
func Live() int { return int(live.Load()) }

func (b backend) Open(p bindings.Plan) (bindings.Device, error) {
	p[bindings.Workspace] = max(p[bindings.Workspace], b.profile.WorkspaceBytes)
	options := C.graft_context_options{
		struct_size: C.sizeof_graft_context_options, device: C.int32_t(b.options.Device),
		threads: C.int32_t(b.options.Threads), workspace_bytes: C.int64_t(p[bindings.Workspace]),
	}
	if b.options.Debug {
		options.debug = 1
	}
	d := &device{table: b.table, profile: b.profile, debug: b.options.Debug}
	if err := b.take(C.graft_call_context_create(b.api, &d.context, &options)); err != nil {
		return nil, fmt.Errorf("open %s: %w", b.profile.Name, err)
	}
	live.Add(1)
	for s := range d.arenas {
		if bindings.Space(s) == bindings.Workspace { // the context holds it
			continue
		}
		a := arena{bytes: max(p[s], bindings.Align)}
		if err := b.take(C.graft_call_allocate(b.api, d.context, &a.data, C.int64_t(a.bytes))); err != nil {
			d.Close()
			return nil, fmt.Errorf("open %s: %s: %w", b.profile.Name, bindings.Space(s), err)
		}
		d.arenas[s] = a
	}
	return d, nil
}

type arena struct {
	data  unsafe.Pointer
	bytes int64
}

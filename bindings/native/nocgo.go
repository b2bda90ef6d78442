//go:build !cgo

package native

import (
	"fmt"
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

// Compiled reports whether this program has native devices.
const Compiled = false

var errNoCgo = fmt.Errorf("%w: this program was built without cgo, and so without native devices", bindings.ErrUnavailable)

type backend struct{ profile bindings.Profile }

// CPU is a backend that says why it cannot be opened.
func CPU(o Options) bindings.Backend { return backend{bindings.CPUProfile(o.Threads)} }

// CUDA fails with an ErrUnavailable.
func CUDA(o Options) (bindings.Backend, error) { return nil, errNoCgo }

// CUDADevices fails with an ErrUnavailable.
func CUDADevices() (int, error) { return 0, errNoCgo }

// PluginVersion fails with an ErrUnavailable.
func PluginVersion(path string) (major, minor int, err error) { return 0, 0, errNoCgo }

// PluginMemory knows nothing.
func PluginMemory(path string, device unsafe.Pointer) (limit, used int64) { return 0, 0 }

// ReleaseHeap has no heap.
func ReleaseHeap() {}

// Live is zero: nothing can be opened.
func Live() int { return 0 }

func (b backend) Profile() bindings.Profile                     { return b.profile }
func (b backend) Info() string                                  { return errNoCgo.Error() }
func (b backend) Open(p bindings.Plan) (bindings.Device, error) { return nil, errNoCgo }

// Package device opens devices by name:
//
//	auto         the GPU with the most free memory, or the CPU where there is none;
//	             in a build without cgo, reference
//	cpu          the native CPU backend
//	cuda:0       a GPU, through libgraft_cuda.so
//	pjrt:/path/to/plugin.so[?option=value]   an accelerator with a PJRT plugin
//	pjrt:cpu     the same by a short name, from a search path (docs/pjrt.md)
//	reference    plain Go loops: slow and exact, always there
//
// It is the one place, besides tests, that names concrete backends.
package device

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/reference"
	"github.com/graftlm/graft/go/failure"
)

// DebugVariable, if it is set, has a GPU that is named wait for each operation,
// so that a fault is reported by the operation that made it.
const DebugVariable = "GRAFT_CUDA_DEBUG"

// Open gives the backend of a name. threads is for the CPU; 0 means one for
// each core that may be used.
func Open(name string, threads int) (bindings.Backend, error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "", "auto":
		if b := best(gpus()); b != nil {
			return b, nil
		}
		if !native.Compiled {
			return reference.New(reference.Float32), nil
		}
		return native.CPU(native.Options{Threads: threads}), nil
	case "cpu":
		if !native.Compiled {
			return nil, failure.Unavailable("device cpu: %s; build with cgo and a C++ compiler, or use the device auto or reference, whose loops are slow and exact", noCgo)
		}
		return native.CPU(native.Options{Threads: threads}), nil
	case "reference":
		return reference.New(reference.Float32), nil
	case "cuda":
		n, err := strconv.Atoi(rest)
		if rest == "" {
			n, err = 0, nil
		}
		if err != nil || n < 0 {
			return nil, failure.Config("device %q: want cuda:N with the number of a GPU", name)
		}
		b, err := native.CUDA(native.Options{Device: n, Debug: os.Getenv(DebugVariable) != ""})
		return b, failure.As(failure.ErrUnavailable, err)
	case "pjrt":
		return openPJRT(rest)
	}
	return nil, failure.Config("device %q is not known; use auto, cpu, cuda:N, pjrt:PLUGIN or reference", name)
}

// Profile is that of a device of a name, which need not be there.
func Profile(name string, threads int) (bindings.Profile, error) {
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "cpu":
		return native.CPU(native.Options{Threads: threads}).Profile(), nil
	case "cuda":
		return bindings.CUDAProfile(), nil
	case "pjrt":
		return bindings.PJRTProfile(), nil
	}
	b, err := Open(name, threads)
	if err != nil {
		return bindings.Profile{}, err
	}
	return b.Profile(), nil
}

// Native reports whether this build has native devices: whether it was made with
// cgo.
const Native = native.Compiled

// noCgo is why a native device is not there.
const noCgo = "this build has no native code (CGO_ENABLED=0)"

// Entry is a device that is there, or one that is not and why.
type Entry struct {
	Name        string                `json:"name"`
	Info        string                `json:"info,omitempty"`
	Description *bindings.Description `json:"description,omitempty"`
	Missing     string                `json:"missing,omitempty"`
}

// entry tells of a backend.
func entry(name string, b bindings.Backend) Entry {
	e := Entry{Name: name, Info: b.Info()}
	if d, ok := b.(bindings.Describer); ok {
		if x, err := d.Describe(); err != nil {
			return Entry{Name: name, Missing: err.Error()}
		} else {
			e.Description = &x
		}
	}
	return e
}

// List tells what is there.
func List() []Entry {
	var all []Entry
	if native.Compiled {
		all = append(all, entry("cpu", native.CPU(native.Options{})))
	} else {
		all = append(all, Entry{Name: "cpu", Missing: noCgo})
	}
	n, err := native.CUDADevices()
	if err != nil {
		all = append(all, Entry{Name: "cuda:0", Missing: err.Error()})
	}
	for i := range n {
		name := fmt.Sprintf("cuda:%d", i)
		if b, err := native.CUDA(native.Options{Device: i}); err != nil {
			all = append(all, Entry{Name: name, Missing: err.Error()})
		} else {
			all = append(all, entry(name, b))
		}
	}
	all = append(all, listPJRT()...)
	return append(all, Entry{Name: "reference", Info: reference.New(reference.Float32).Info()})
}

// gpus are those that can be used.
func gpus() (all []bindings.Backend) {
	n, _ := native.CUDADevices()
	for i := range n {
		if b, err := native.CUDA(native.Options{Device: i}); err == nil {
			all = append(all, b)
		}
	}
	return all
}

// best is the GPU with the most free memory, the first of equals; nil where
// there is none.
func best(all []bindings.Backend) (chosen bindings.Backend) {
	var most int64
	for _, b := range all {
		d, ok := b.(bindings.Describer)
		if !ok {
			continue
		}
		if x, err := d.Describe(); err == nil && (chosen == nil || x.MemoryFree > most) {
			chosen, most = b, x.MemoryFree
		}
	}
	return chosen
}

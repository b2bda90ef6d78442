//go:build cgo

package native

/*
#include <dlfcn.h>
#include <stdlib.h>
#include "trampoline.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

const cudaLibrary = "libgraft_cuda.so"

// CUDALibraryVariable names the CUDA library; then it is looked for nowhere else.
const CUDALibraryVariable = "GRAFT_CUDA_LIB"

// cudaTable opens the library once; it stays open, for a driver does not
// survive being unloaded.
var cudaTable = sync.OnceValues(func() (table, error) { return openFirst(cudaPaths()) })

// openFirst opens the first library that can be opened. The error says of each
// why it was not.
func openFirst(paths []string) (table, error) {
	var failed []string
	for _, path := range paths {
		t, err := openTable(path, "graft_cuda_api")
		if err == nil {
			return t, nil
		}
		failed = append(failed, err.Error())
	}
	return table{}, fmt.Errorf("%w: no %s can be used; set %s to the path of one. Tried: %s", bindings.ErrUnavailable, cudaLibrary, CUDALibraryVariable, strings.Join(failed, "; "))
}

// cudaPaths is where the library is looked for, in order. A path that is set is
// the only one.
func cudaPaths() []string {
	if path := os.Getenv(CUDALibraryVariable); path != "" {
		return []string{path}
	}
	var paths []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dir := filepath.Dir(exe)
		paths = append(paths, filepath.Join(dir, cudaLibrary), filepath.Join(dir, "..", "lib", cudaLibrary))
	}
	if dir, err := os.Getwd(); err == nil {
		paths = append(paths, filepath.Join(dir, "build", "lib", cudaLibrary))
	}
	return append(paths, cudaLibrary) // the loader's own search
}

func openTable(path, symbol string) (table, error) {
	if strings.Contains(path, "/") {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return table{}, fmt.Errorf("%s: not there", path)
		}
	}
	cpath, csymbol := C.CString(path), C.CString(symbol)
	defer C.free(unsafe.Pointer(cpath))
	defer C.free(unsafe.Pointer(csymbol))
	runtime.LockOSThread() // the text of dlerror belongs to a thread
	defer runtime.UnlockOSThread()
	handle := C.dlopen(cpath, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return table{}, errors.New(C.GoString(C.dlerror())) // which begins with the path
	}
	f := C.dlsym(handle, csymbol)
	if f == nil {
		C.dlclose(handle)
		return table{}, fmt.Errorf("%s: it has no function %s", path, symbol)
	}
	t, err := newTable(C.graft_call_api(f), path)
	if err != nil {
		C.dlclose(handle)
	}
	return t, err
}

// CUDA is a GPU, through libgraft_cuda.so: $GRAFT_CUDA_LIB, or the one beside
// the program, in ../lib, in build/lib, or where the loader finds it. The error
// is an ErrUnavailable that says what was tried, or what is wrong with the
// driver or the device.
func CUDA(o Options) (bindings.Backend, error) {
	t, err := cudaTable()
	if err != nil {
		return nil, err
	}
	o.Threads = 0
	b := backend{t, bindings.CUDAProfile(), o}
	n, err := t.count()
	if err == nil && o.Device >= n {
		err = fmt.Errorf("%w: cuda:%d: there are %d devices", bindings.ErrUnavailable, o.Device, n)
	}
	if err == nil {
		_, err = b.info()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s is there, device %d cannot be used: %w", bindings.ErrUnavailable, t.file, o.Device, err)
	}
	return b, nil
}

// CUDADevices is the number of GPUs. The error is that of CUDA.
func CUDADevices() (int, error) {
	t, err := cudaTable()
	if err != nil {
		return 0, err
	}
	n, err := t.count()
	if err != nil {
		return 0, fmt.Errorf("%w: %s is there, no device can be used: %w", bindings.ErrUnavailable, t.file, err)
	}
	return n, nil
}

func (t table) count() (int, error) {
	var n C.int32_t
	err := t.take(C.graft_call_device_count(t.api, &n))
	return int(n), err
}

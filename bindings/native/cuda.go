//go:build cgo

package native

/*
#include <dlfcn.h>
#include <stdlib.h>
#include "trampoline.h"
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

const cudaLibrary = "libgraft_cuda.so"

// cudaTable opens the library once; it stays open, for a driver does not
// survive being unloaded.
var cudaTable = sync.OnceValues(func() (table, error) {
	var failed []string
	for _, path := range cudaPaths() {
		t, err := openTable(path, "graft_cuda_api")
		if err == nil {
			return t, nil
		}
		failed = append(failed, err.Error())
	}
	return table{}, fmt.Errorf("%w: no %s (set GRAFT_CUDA_LIB to its path): %s", bindings.ErrUnavailable, cudaLibrary, strings.Join(failed, "; "))
})

// cudaPaths is where the library is looked for, in order. A path that is set is
// the only one.
func cudaPaths() []string {
	if path := os.Getenv("GRAFT_CUDA_LIB"); path != "" {
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
	cpath, csymbol := C.CString(path), C.CString(symbol)
	defer C.free(unsafe.Pointer(cpath))
	defer C.free(unsafe.Pointer(csymbol))
	runtime.LockOSThread() // the text of dlerror belongs to a thread
	defer runtime.UnlockOSThread()
	handle := C.dlopen(cpath, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return table{}, fmt.Errorf("%s", C.GoString(C.dlerror()))
	}
	f := C.dlsym(handle, csymbol)
	if f == nil {
		C.dlclose(handle)
		return table{}, fmt.Errorf("%s: no function %s", path, symbol)
	}
	t, err := newTable(C.graft_call_api(f), path)
	if err != nil {
		C.dlclose(handle)
	}
	return t, err
}

// CUDA is a GPU, through libgraft_cuda.so: $GRAFT_CUDA_LIB, or the one beside
// the program, in ../lib, in build/lib, or where the loader finds it. The error
// is an ErrUnavailable that says what was tried.
func CUDA(o Options) (bindings.Backend, error) {
	t, err := cudaTable()
	if err != nil {
		return nil, err
	}
	o.Threads = 0
	b := backend{t, bindings.CUDAProfile(), o}
	if _, err := b.info(); err != nil {
		return nil, fmt.Errorf("%w: the library is there, its device %d is not: %v", bindings.ErrUnavailable, o.Device, err)
	}
	return b, nil
}

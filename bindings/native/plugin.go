//go:build cgo

package native

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

// The beginning of PJRT_Api, which no version changes.
typedef struct {
	size_t struct_size;
	void* extensions;
	struct {
		size_t struct_size;
		void* extensions;
		int major, minor;
	} version;
} graft_pjrt_api;

static const graft_pjrt_api* graft_pjrt_get(void* function) {
	return ((const graft_pjrt_api* (*)(void))function)();
}
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/graftlm/graft/bindings"
)

// PluginVersion opens a PJRT plugin by its path and reads the version of the
// PJRT interface it was built for, before anything in it is called. An error is
// a bindings.ErrUnavailable with the loader's reason. The library stays open,
// for drivers do not survive being unloaded.
func PluginVersion(path string) (major, minor int, err error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	library := C.dlopen(name, C.RTLD_LAZY|C.RTLD_LOCAL)
	if library == nil {
		return 0, 0, fmt.Errorf("%w: %s", bindings.ErrUnavailable, C.GoString(C.dlerror()))
	}
	symbol := C.CString("GetPjrtApi")
	defer C.free(unsafe.Pointer(symbol))
	get := C.dlsym(library, symbol)
	if get == nil {
		C.dlclose(library)
		return 0, 0, fmt.Errorf("%w: %s is no PJRT plugin: it has no function GetPjrtApi", bindings.ErrUnavailable, path)
	}
	api := C.graft_pjrt_get(get)
	if api == nil {
		return 0, 0, fmt.Errorf("%w: GetPjrtApi of %s gives no function table", bindings.ErrUnavailable, path)
	}
	return int(api.version.major), int(api.version.minor), nil
}

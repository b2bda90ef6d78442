//go:build cgo

package native

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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
	void* functions[]; // new ones come at the end
} graft_pjrt_api;

// Two functions of the table, and their arguments.
enum { ERROR_DESTROY = 0, DEVICE_MEMORY_STATS = 34 };
typedef struct {
	size_t struct_size;
	void* extensions;
	void* error;
} graft_pjrt_error_args;
typedef struct {
	size_t struct_size;
	void* extensions;
	void* device;
	int64_t in_use;
	struct {
		int64_t value;
		bool is_set;
	} peak, allocations, largest, limit, more[6];
} graft_pjrt_memory_args;

static graft_pjrt_memory_args graft_pjrt_memory(const graft_pjrt_api* api, void* device) {
	graft_pjrt_memory_args args = {sizeof args, 0, device};
	if (api->struct_size < offsetof(graft_pjrt_api, functions) + (DEVICE_MEMORY_STATS + 1) * sizeof(void*) ||
	    !api->functions[DEVICE_MEMORY_STATS])
		return args;
	void* error = ((void* (*)(graft_pjrt_memory_args*))api->functions[DEVICE_MEMORY_STATS])(&args);
	if (error) {
		graft_pjrt_error_args gone = {sizeof gone, 0, error};
		((void (*)(graft_pjrt_error_args*))api->functions[ERROR_DESTROY])(&gone);
		args = (graft_pjrt_memory_args){0};
	}
	return args;
}

static const graft_pjrt_api* graft_pjrt_get(void* function) {
	return ((const graft_pjrt_api* (*)(void))function)();
}
static void graft_release_heap(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
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
	api, err := plugin(path)
	if err != nil {
		return 0, 0, err
	}
	return int(api.version.major), int(api.version.minor), nil
}

// ReleaseHeap gives back to the system what the C heap has free: a compiler
// leaves hundreds of megabytes there.
func ReleaseHeap() { C.graft_release_heap() }

// PluginMemory asks a plugin of an accepted version about the memory of one of
// its devices, a PJRT_Device: how many bytes there are and how many are in use;
// zeros where the plugin does not tell.
func PluginMemory(path string, device unsafe.Pointer) (limit, used int64) {
	api, err := plugin(path)
	if err != nil {
		return 0, 0
	}
	m := C.graft_pjrt_memory(api, device)
	if !m.limit.is_set {
		return 0, int64(m.in_use)
	}
	return int64(m.limit.value), int64(m.in_use)
}

func plugin(path string) (*C.graft_pjrt_api, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	library := C.dlopen(name, C.RTLD_LAZY|C.RTLD_LOCAL)
	if library == nil {
		return nil, fmt.Errorf("%w: %s", bindings.ErrUnavailable, C.GoString(C.dlerror()))
	}
	symbol := C.CString("GetPjrtApi")
	defer C.free(unsafe.Pointer(symbol))
	get := C.dlsym(library, symbol)
	if get == nil {
		C.dlclose(library)
		return nil, fmt.Errorf("%w: %s is no PJRT plugin: it has no function GetPjrtApi", bindings.ErrUnavailable, path)
	}
	api := C.graft_pjrt_get(get)
	if api == nil {
		return nil, fmt.Errorf("%w: GetPjrtApi of %s gives no function table", bindings.ErrUnavailable, path)
	}
	return api, nil
}

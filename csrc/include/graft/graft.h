// The C interface of graft's devices: one exported symbol a library, which
// returns a table of functions.
//
//     const graft_api* api = graft_cpu_api();      // compiled in, or libgraft_cpu
//     const graft_api* api = graft_cuda_api();     // libgraft_cuda.so
//
// The table is also the list of what the device can do: a NULL slot is an
// operation that it does not have. Check abi_major, and struct_size before a
// slot that was added in a later minor version.
#ifndef GRAFT_GRAFT_H
#define GRAFT_GRAFT_H

#include <stddef.h>
#include <stdint.h>

#include "context.h"
#include "ops.h"
#include "status.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

// The major version changes with any change of a struct or of the meaning of a
// slot, the minor version with a slot at the end.
#define GRAFT_ABI_MAJOR 3
#define GRAFT_ABI_MINOR 2

#define GRAFT_SLOT(name) graft_status* (*name)(graft_context*, const graft_##name##_args*);

typedef struct graft_api {
    size_t struct_size;
    int32_t abi_major, abi_minor;
    const char* name;  // "cpu", "cuda"

    int32_t (*status_code)(const graft_status*);         // a graft_code
    const char* (*status_message)(const graft_status*);  // lives as long as the status
    void (*status_free)(graft_status*);                  // NULL is allowed

    // Devices that are there, and what they are. Neither needs a context.
    graft_status* (*device_count)(int32_t* count);
    graft_status* (*device_info)(int32_t device, graft_device_info* info);

    graft_status* (*context_create)(graft_context** out, const graft_context_options*);
    void (*context_destroy)(graft_context*);  // NULL is allowed

    // Device memory: the arenas. Zeroed where that is free.
    graft_status* (*allocate)(graft_context*, void** out, int64_t bytes);
    void (*release)(graft_context*, void* data, int64_t bytes);
    // Host to device and back. The source of an upload may change when it returns,
    // and what is called after it comes after it; a download is complete.
    graft_status* (*upload)(graft_context*, void* dst, const void* src, int64_t bytes);
    graft_status* (*download)(graft_context*, void* dst, const void* src, int64_t bytes);
    graft_status* (*synchronize)(graft_context*);

    // A program recorded once and launched often (a CUDA graph). NULL slots: the
    // caller issues the operations each time. From begin to end it is one thread.
    graft_status* (*capture_begin)(graft_context*);
    graft_status* (*capture_end)(graft_context*, void** graph);
    graft_status* (*graph_launch)(graft_context*, void* graph);
    void (*graph_destroy)(graft_context*, void* graph);

    GRAFT_EACH_OP(GRAFT_SLOT)

    // The device's own clock: mark notes when all that was issued before it is done,
    // 0 <= index < 65536, outside of captures; elapsed gives the seconds from one mark
    // to another, once both were waited for. NULL slots: it has none.
    graft_status* (*mark)(graft_context*, int32_t index);
    graft_status* (*elapsed)(graft_context*, int32_t from, int32_t to, double* seconds);
} graft_api;

const graft_api* graft_cpu_api(void);
const graft_api* graft_cuda_api(void);

#ifdef __cplusplus
}
#endif
#endif

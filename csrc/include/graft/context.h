// A context: one device, its stream or thread pool, its workspace.
//
// A context is used by one thread at a time, any thread. Each entry selects the
// device of its context by itself.
#ifndef GRAFT_CONTEXT_H
#define GRAFT_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct graft_context graft_context;

typedef struct graft_context_options {
    size_t struct_size;
    int32_t device;           // CUDA ordinal; 0 for the CPU
    int32_t threads;          // CPU: 0 means one for each core that may be used
    int64_t workspace_bytes;  // the device's own scratch; asking for more is GRAFT_RESOURCE_EXHAUSTED
    int32_t debug;            // synchronise and check after each operation
} graft_context_options;

typedef struct graft_device_info {
    size_t struct_size;
    char name[128];          // "AMD EPYC 9755", "NVIDIA H200"
    char arch[64];           // "avx512bf16", "avx512", "avx2", "portable"; "sm_90"
    int32_t threads;         // CPU threads, or multiprocessors
    int64_t memory_total;    // bytes
    int64_t memory_free;     // bytes now
    char driver[64];         // "" on a CPU
} graft_device_info;

#ifdef __cplusplus
}
#endif
#endif

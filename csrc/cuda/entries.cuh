// The entries of the table that are no operations, and what surrounds each call.
#pragma once

#include "context.cuh"

#if defined(__CUDACC__)
#include <nvtx3/nvToolsExt.h>
#endif

namespace graft::cuda {

// A range in profilers while an operation is issued. Costs nothing where none is attached.
class Range {
  public:
#if defined(__CUDACC__)
    explicit Range(const char* name) { nvtxRangePushA(name); }
    ~Range() { nvtxRangePop(); }
#else
    explicit Range(const char*) {}
#endif
    Range(const Range&) = delete;
    Range& operator=(const Range&) = delete;
};

// Selects the device and remembers the operation; waits and checks in debug mode.
graft_status* begin(graft_context*, const char* op);
graft_status* end(graft_context*);

graft_status* device_count(int32_t* count);
graft_status* device_info(int32_t device, graft_device_info* info);
graft_status* context_create(graft_context** out, const graft_context_options*);
void context_destroy(graft_context*);
graft_status* allocate(graft_context*, void** out, int64_t bytes);
graft_status* upload(graft_context*, void* dst, const void* src, int64_t bytes);
graft_status* download(graft_context*, void* dst, const void* src, int64_t bytes);
graft_status* synchronize(graft_context*);
graft_status* mark(graft_context*, int32_t index);
graft_status* elapsed(graft_context*, int32_t from, int32_t to, double* seconds);
graft_status* capture_begin(graft_context*);
graft_status* capture_end(graft_context*, void** graph);
graft_status* graph_launch(graft_context*, void* graph);

}  // namespace graft::cuda

// The table: the only exported symbol.
#include "entries.cuh"

namespace graft::cuda {
namespace {

// Without the wait of debug mode.
template <class F> graft_status* after(graft_context* c, const char* op, F&& body) noexcept {
    return guarded([&]() -> graft_status* {
        const Range range(op);
        GRAFT_TRY(begin(c, op));
        return body();
    });
}
template <class F> graft_status* call(graft_context* c, const char* op, F&& body) noexcept {
    return after(c, op, [&]() -> graft_status* {
        GRAFT_TRY(body());
        return end(c);
    });
}

graft_api make_table() {
    graft_api t{};
    t.struct_size = sizeof t;
    t.abi_major = GRAFT_ABI_MAJOR;
    t.abi_minor = GRAFT_ABI_MINOR;
    t.name = "cuda";
    t.status_code = [](const graft_status* s) -> int32_t { return s->code; };
    t.status_message = [](const graft_status* s) -> const char* { return s->message.c_str(); };
    t.status_free = [](graft_status* s) { free_status(s); };
    t.device_count = [](int32_t* count) { return guarded([&] { return device_count(count); }); };
    t.device_info = [](int32_t device, graft_device_info* info) { return guarded([&] { return device_info(device, info); }); };
    t.context_create = [](graft_context** out, const graft_context_options* o) {
        return guarded([&] { return context_create(out, o); });
    };
    t.context_destroy = [](graft_context* c) { context_destroy(c); };
    t.allocate = [](graft_context* c, void** out, int64_t n) { return call(c, "allocate", [&] { return allocate(c, out, n); }); };
    t.release = [](graft_context* c, void* data, int64_t) {
        if (!data || cudaSetDevice(c->device) != cudaSuccess) return;
        cudaStreamSynchronize(c->stream);  // after a failure there may be work that uses it
        cudaFree(data);
    };
    t.upload = [](graft_context* c, void* dst, const void* src, int64_t n) {
        return call(c, "upload", [&] { return upload(c, dst, src, n); });
    };
    // What waits keeps the name of the operation that may have failed.
    t.download = [](graft_context* c, void* dst, const void* src, int64_t n) {
        return after(c, c->last, [&] { return download(c, dst, src, n); });
    };
    t.synchronize = [](graft_context* c) { return after(c, c->last, [&] { return synchronize(c); }); };
    t.capture_begin = [](graft_context* c) { return after(c, "capture", [&] { return capture_begin(c); }); };
    t.capture_end = [](graft_context* c, void** graph) { return after(c, "capture", [&] { return capture_end(c, graph); }); };
    t.graph_launch = [](graft_context* c, void* graph) { return after(c, "graph", [&] { return graph_launch(c, graph); }); };
    t.graph_destroy = [](graft_context* c, void* graph) {
        if (graph && cudaSetDevice(c->device) == cudaSuccess) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
    };
#define OP(op) t.op = [](graft_context* c, const graft_##op##_args* a) { return call(c, #op, [&] { return op(c, a); }); };
    GRAFT_EACH_OP(OP)
#undef OP
    t.mark = [](graft_context* c, int32_t index) { return after(c, c->last, [&] { return mark(c, index); }); };
    t.elapsed = [](graft_context* c, int32_t from, int32_t to, double* seconds) {
        return after(c, c->last, [&] { return elapsed(c, from, to, seconds); });
    };
    return t;
}
const graft_api table = make_table();

}  // namespace
}  // namespace graft::cuda

extern "C" __attribute__((visibility("default"))) const graft_api* graft_cuda_api(void) { return &graft::cuda::table; }

// The table: the only exported symbol.
#include "entries.cuh"

namespace graft::cuda {
namespace {

template <class F> graft_status* call(graft_context* c, const char* op, F&& body) noexcept {
    return guarded([&]() -> graft_status* {
        const Range range(op);
        GRAFT_TRY(begin(c, op));
        GRAFT_TRY(body());
        return end(c);
    });
}

#define OP(op) [](graft_context* c, const graft_##op##_args* a) -> graft_status* { \
    return call(c, #op, [&] { return op(c, a); }); \
}

const graft_api table = {
    sizeof(graft_api), GRAFT_ABI_MAJOR, GRAFT_ABI_MINOR, "cuda",
    [](const graft_status* s) -> int32_t { return s->code; },
    [](const graft_status* s) -> const char* { return s->message.c_str(); },
    [](graft_status* s) { free_status(s); },
    [](int32_t* count) { return guarded([&] { return device_count(count); }); },
    [](int32_t device, graft_device_info* info) { return guarded([&] { return device_info(device, info); }); },
    [](graft_context** out, const graft_context_options* o) { return guarded([&] { return context_create(out, o); }); },
    [](graft_context* c) { context_destroy(c); },
    [](graft_context* c, void** out, int64_t n) { return call(c, "allocate", [&] { return allocate(c, out, n); }); },
    [](graft_context* c, void* data, int64_t) { if (data && cudaSetDevice(c->device) == cudaSuccess) cudaFree(data); },
    [](graft_context* c, void* dst, const void* src, int64_t n) {
        return call(c, "upload", [&] { return upload(c, dst, src, n); });
    },
    [](graft_context* c, void* dst, const void* src, int64_t n) {
        return guarded([&]() -> graft_status* {  // keeps the name of the operation that may have failed
            GRAFT_TRY(begin(c, c->last));
            return download(c, dst, src, n);
        });
    },
    [](graft_context* c) {
        return guarded([&]() -> graft_status* {
            GRAFT_TRY(begin(c, c->last));
            return synchronize(c);
        });
    },
    [](graft_context* c) {
        return guarded([&]() -> graft_status* {
            GRAFT_TRY(begin(c, "capture"));
            return capture_begin(c);
        });
    },
    [](graft_context* c, void** graph) {
        return guarded([&]() -> graft_status* {
            GRAFT_TRY(begin(c, "capture"));
            return capture_end(c, graph);
        });
    },
    [](graft_context* c, void* graph) {
        return guarded([&]() -> graft_status* {
            GRAFT_TRY(begin(c, "graph"));
            return graph_launch(c, graph);
        });
    },
    [](graft_context* c, void* graph) {
        if (graph && cudaSetDevice(c->device) == cudaSuccess) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
    },
    OP(zero), OP(cast), OP(add), OP(embedding), OP(embedding_backward), OP(scatter_rows), OP(rms_norm),
    OP(rms_norm_backward), OP(linear), OP(linear_backward), OP(rope_table), OP(rope), OP(attention),
    OP(attention_backward), OP(swiglu), OP(swiglu_backward), OP(linear_cross_entropy), OP(grad_norm), OP(adamw),
    OP(sample), OP(activation), OP(activation_backward), OP(layer_norm), OP(layer_norm_backward), OP(pool),
    OP(pool_backward), OP(classification_loss),
};

}  // namespace
}  // namespace graft::cuda

extern "C" __attribute__((visibility("default"))) const graft_api* graft_cuda_api(void) { return &graft::cuda::table; }

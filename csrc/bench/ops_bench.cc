// Time of the operations that are no matrix product, in Go's benchmark format:
//   build/cpu/graft_ops_bench [threads]
// on the shapes of a model of 135 million parameters: 4 sequences of 256
// tokens, 9 heads of 64 with 3 kv heads, hidden size 576 and 1536. The figure is
// the best of several short bursts; FLOPs of attention are those of the pairs
// of tokens that see each other.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "../cpu/cpu.h"

namespace {

using graft::cpu::bf16;
const graft_api& api = *graft_cpu_api();

// A bf16 or f32 tensor with normal values.
struct Tensor {
    Tensor(graft_dtype type, std::vector<int64_t> shape) : bytes(4) {
        for (int64_t d : shape) n *= d;
        bytes.resize(size_t(n) * (type == GRAFT_BF16 ? 2 : 4) + 64);
        t = {bytes.data() + 64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64, type, int32_t(shape.size()), {}, 1};
        for (size_t i = 0; i < shape.size(); i++) t.shape[i] = shape[i];
        t.pitch = graft::cpu::cols(t);
        std::mt19937 engine(unsigned(n) + 1);
        std::normal_distribution<float> next;
        for (int64_t i = 0; i < n; i++) {
            if (type == GRAFT_BF16) static_cast<bf16*>(t.data)[i] = graft::cpu::to_bf16(next(engine));
            else if (type == GRAFT_F32) static_cast<float*>(t.data)[i] = next(engine);
        }
    }
    Tensor(const Tensor&) = delete;
    operator graft_tensor() const { return t; }
    int64_t n = 1;
    std::vector<char> bytes;
    graft_tensor t;
};

template <class F> void measure(const char* name, const char* type, double flops, double bytes, F&& call) {
    double best = 1e30;
    for (int i = 0; i < 12; i++) {
        const auto start = std::chrono::steady_clock::now();
        for (int k = 0; k < 5; k++)
            if (graft_status* s = call()) {
                std::fprintf(stderr, "%s: %s\n", name, api.status_message(s));
                std::exit(1);
            }
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 5);
    }
    std::printf("Benchmark%s/dtype=%s \t%d\t%.0f ns/op", name, type, 60, best * 1e9);
    if (flops > 0) std::printf("\t%.1f GFLOP/s", flops / best / 1e9);
    if (bytes > 0) std::printf("\t%.1f GB/s", bytes / best / 1e9);
    std::printf("\n");
}

void bench(graft_context* c, graft_dtype type, const char* name) {
    const int64_t T = 1024, heads = 9, kv = 3, dim = 64, h = 576, inner = 1536;
    const double size = type == GRAFT_BF16 ? 2 : 4;
    const Tensor q(type, {T, heads * dim}), k(type, {T, kv * dim}), v(type, {T, kv * dim}), o(type, {T, heads * dim});
    const Tensor d_o(type, {T, heads * dim}), dq(type, {T, heads * dim}), dk(type, {T, kv * dim}), dv(type, {T, kv * dim});
    const Tensor lse(GRAFT_F32, {T, heads}), cu(GRAFT_I32, {5}), scratch(GRAFT_U8, {4 * T * heads * (dim + 1) + 256});
    for (int i = 0; i < 5; i++) static_cast<int32_t*>(cu.t.data)[i] = 256 * i;
    const double pairs = 4.0 * 256 * 257 / 2 * heads;
    graft_attention_args a = {o, lse, q, k, v, {}, {}, cu, {}, heads, kv, dim, 0, 0.125f, 0, 1, {}};
    measure("Attention", name, 4 * pairs * dim, 0, [&] { return api.attention(c, &a); });
    graft_attention_backward_args b = {dq, dk, dv, {}, {}, d_o, o, lse, q, k, v, {}, {}, cu, heads, kv, dim, 0, 0.125f, 0, 1, scratch};
    measure("AttentionBackward", name, 10 * pairs * dim, 0, [&] { return api.attention_backward(c, &b); });

    const Tensor x(type, {T, h}), y(type, {T, h}), sum(type, {T, h}), w(type, {h}), rstd(GRAFT_F32, {T});
    const graft_rms_norm_args n = {y, sum, rstd, x, x, w, 1e-5f, 0};
    measure("RMSNorm", name, 0, size * 4 * double(T * h), [&] { return api.rms_norm(c, &n); });
    const graft_rms_norm_backward_args nb = {y, {}, x, sum, rstd, w, 1e-5f, 0, 1};
    measure("RMSNormBackward", name, 0, size * 4 * double(T * h), [&] { return api.rms_norm_backward(c, &nb); });
    const Tensor table(type, {T, dim});
    const graft_rope_args r = {y, x, table, dim, 0};
    measure("RoPE", name, 0, size * 2 * double(T * h), [&] { return api.rope(c, &r); });
    const Tensor gate(type, {T, inner}), up(type, {T, inner}), z(type, {T, inner}), dgate(type, {T, inner}), dup(type, {T, inner});
    const graft_swiglu_args s = {z, gate, up};
    measure("SwiGLU", name, 0, size * 3 * double(T * inner), [&] { return api.swiglu(c, &s); });
    const graft_swiglu_backward_args sb = {dgate, dup, z, gate, up};
    measure("SwiGLUBackward", name, 0, size * 5 * double(T * inner), [&] { return api.swiglu_backward(c, &sb); });
}

}  // namespace

int main(int argc, char** argv) {
    graft_context_options options = {sizeof options, 0, argc > 1 ? std::atoi(argv[1]) : 0, 8 << 20, 0};
    graft_context* context = nullptr;
    if (graft_status* s = api.context_create(&context, &options)) {
        std::fprintf(stderr, "%s\n", api.status_message(s));
        return 1;
    }
    std::printf("cpu: %s, %d threads\n", graft::name(context->isa), context->pool.threads());
    bench(context, GRAFT_BF16, "bf16");
    bench(context, GRAFT_F32, "f32");
    api.context_destroy(context);
}

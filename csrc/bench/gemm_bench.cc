// Rates of the linear operations in Go's benchmark format, with the peak of the
// machine's multiply-adds measured in the same process:
//   build/cpu/graft_gemm_bench [threads]
// 1024 tokens on the shapes of a model of 135 million parameters, bf16, adapters
// of rank 16, the head over a vocabulary of 49152. Best of short bursts: on a
// busy machine only the ratios to the peak mean something.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../cpu/linear.h"

namespace {

using namespace graft;
using namespace graft::cpu;
constexpr int64_t kTokens = 1024, kRank = 16, kVocab = 49152, kHidden = 576;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class F> double best_of(int times, F&& f) {
    double best = 1e30;
    for (int i = 0; i < times; i++) {
        const double start = seconds();
        if (graft_status* s = f()) {
            std::fprintf(stderr, "%s\n", s->message.c_str());
            std::exit(1);
        }
        best = std::min(best, seconds() - start);
    }
    return best;
}

double peak = 0;  // GFLOP/s
template <class F> void measure(const char* name, int64_t out, int64_t in, double flops, F&& f) {
    const int times = flops > 1e10 ? 3 : 10;
    const double best = best_of(times, f);
    std::printf("Benchmark%s/%ldx%ld \t%d\t%.0f ns/op\t%.1f GFLOP/s", name, long(out), long(in), times, best * 1e9, flops / best / 1e9);
    if (peak > 0) std::printf("\t%.3f of-peak", flops / best / 1e9 / peak);
    std::printf("\n");
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) void multiply_adds(int64_t times) {
#define GRAFT_STEP(r) "vdpbf16ps %%zmm30, %%zmm31, %%zmm" #r "\n"
    asm volatile("1:\n" GRAFT_STEP(0) GRAFT_STEP(1) GRAFT_STEP(2) GRAFT_STEP(3) GRAFT_STEP(4) GRAFT_STEP(5) GRAFT_STEP(6)
                     GRAFT_STEP(7) GRAFT_STEP(8) GRAFT_STEP(9) GRAFT_STEP(10) GRAFT_STEP(11) "dec %0\njnz 1b\n"
                 : "+r"(times)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "cc");
#undef GRAFT_STEP
}

void measure_peak(graft_context* context) {
    constexpr int64_t kTimes = 300000;
    const double best = best_of(8, [&]() -> graft_status* {
        context->pool.run([](int, int) { multiply_adds(kTimes); });
        return nullptr;
    });
    peak = 64.0 * 12 * double(kTimes) * context->pool.threads() / best / 1e9;
    std::printf("BenchmarkPeak/bf16 \t8\t%.0f ns/op\t%.1f GFLOP/s\n", best * 1e9, peak);
}
#endif

graft_tensor random_matrix(graft_dtype type, int64_t rows, int64_t cols) {
    const graft_tensor t = matrix(allocate_pages(rows * cols * size_of(type)), type, rows, cols);
    uint32_t state = 1;
    for (int64_t i = 0; i < rows * cols; i++) {
        state = state * 1664525 + 1013904223;
        const float v = float(state >> 8) / float(1 << 24) - 0.5f;
        if (type == GRAFT_BF16) put(data<bf16>(t) + i, v);
        else put(data<float>(t) + i, v);
    }
    return t;
}

graft_tensor flat(void* data, graft_dtype type, int64_t n) { return {data, type, 1, {n, 0, 0, 0}, 1}; }

void layers(graft_context* c, int64_t out, int64_t in) {
    const auto bf = [](int64_t rows, int64_t cols) { return random_matrix(GRAFT_BF16, rows, cols); };
    const auto f32 = [](int64_t rows, int64_t cols) { return random_matrix(GRAFT_F32, rows, cols); };
    const graft_tensor x = bf(kTokens, in), y = bf(kTokens, out), dx = bf(kTokens, in), dw = f32(out, in);
    const graft_weight w = {bf(out, in), {}, {}, {}, out, in};
    graft_low_rank adapter = {f32(kRank, in), f32(out, kRank), bf(kTokens, kRank), 2, {}, f32(kRank, in), f32(out, kRank)};
    const int64_t bytes = 4 * kRank * (kTokens + out) + 1024;
    const graft_tensor scratch = flat(allocate_pages(bytes), GRAFT_U8, bytes);
    const double flops = 2.0 * kTokens * double(in * out), low = 2.0 * kTokens * kRank * double(in + out);
    graft_linear_args f = {y, x, w, {}, &adapter, 0, scratch};
    graft_linear_backward_args b = {dx, {}, {}, y, x, w, &adapter, 0, scratch, 0};
    measure("Linear", out, in, flops, [&] { return linear(c, &f); });
    measure("LinearBackward", out, in, flops, [&] { return linear_backward(c, &b); });
    f.num_adapters = b.num_adapters = 1;
    measure("LinearLoRA", out, in, flops + low, [&] { return linear(c, &f); });
    measure("LinearBackwardLoRA", out, in, flops + 2 * low, [&] { return linear_backward(c, &b); });
    b.num_adapters = 0, b.dw = dw;
    measure("LinearBackwardFull", out, in, 2 * flops, [&] { return linear_backward(c, &b); });
}

void one_token(graft_context* c, int64_t out, int64_t in) {
    const graft_weight w = {random_matrix(GRAFT_BF16, out, in), {}, {}, {}, out, in};
    for (int64_t m : {1, 8}) {
        const graft_linear_args f = {random_matrix(GRAFT_BF16, m, out), random_matrix(GRAFT_BF16, m, in), w, {}, nullptr, 0, {}};
        const double best = best_of(8, [&] { return linear(c, &f); });
        std::printf("BenchmarkGenerate%ld/%ldx%ld \t8\t%.0f ns/op\t%.1f GB/s\n", long(m), long(out), long(in), best * 1e9,
                    2.0 * double(out * in) / best / 1e9);
    }
}

void head(graft_context* c) {
    constexpr int64_t kChunk = 341;  // 64 MiB of logits
    std::vector<int32_t> rows(kTokens), targets(kTokens);
    std::vector<float> weights(kTokens, 1);
    for (int i = 0; i < kTokens; i++) rows[size_t(i)] = i, targets[size_t(i)] = i * 37;
    float loss[2] = {}, inverse = 1.0f / kTokens;
    const int64_t bytes = 4 * kChunk * (kVocab + 16 + kHidden + 2) + 1280;
    graft_linear_cross_entropy_args a = {flat(loss, GRAFT_F32, 2), random_matrix(GRAFT_BF16, kTokens, kHidden), {},
        random_matrix(GRAFT_BF16, kTokens, kHidden), {random_matrix(GRAFT_BF16, kVocab, kHidden), {}, {}, {}, kVocab, kHidden},
        flat(rows.data(), GRAFT_I32, kTokens), flat(targets.data(), GRAFT_I32, kTokens), flat(weights.data(), GRAFT_F32, kTokens),
        flat(&inverse, GRAFT_F32, 1), 0, kChunk, flat(allocate_pages(bytes), GRAFT_U8, bytes)};
    const double flops = 2.0 * kTokens * double(kVocab * kHidden);
    measure("CrossEntropyBackward", kVocab, kHidden, 2 * flops, [&] { return linear_cross_entropy(c, &a); });
    a.dx = {};
    measure("CrossEntropyLoss", kVocab, kHidden, flops, [&] { return linear_cross_entropy(c, &a); });
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int64_t kWorkspace = 64 << 20;
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    Isa isa;
    if (graft_status* s = choose_isa(&isa)) {
        std::fprintf(stderr, "%s\n", s->message.c_str());
        return 1;
    }
    graft_context context(argc > 1 ? std::atoi(argv[1]) : available_threads(), isa, allocate_pages(kWorkspace), kWorkspace);
    std::printf("cpu: %s, %d threads\n", name(isa), context.pool.threads());
#if defined(__x86_64__)
    if (isa == Isa::avx512bf16) measure_peak(&context);
#endif
    layers(&context, kHidden, kHidden);
    layers(&context, 1536, kHidden);
    layers(&context, kHidden, 1536);
    head(&context);
    one_token(&context, 16384, 4096);
}

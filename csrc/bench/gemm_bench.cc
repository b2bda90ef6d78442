// Rates of the linear operations in Go's benchmark format, with the peak of the
// machine's multiply-adds measured in the same process:
//   build/cpu/graft_gemm_bench [threads]
// 1024 tokens on the shapes of a model of 135 million parameters, weights in f32,
// bf16 and NF4, adapters of rank 16, the head over a vocabulary of 49152, and few
// tokens on a larger matrix. Best of short bursts: on a busy machine only the
// ratios to the peak mean something.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
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
template <class F> void measure(const std::string& name, int64_t out, int64_t in, double flops, F&& f) {
    const int times = flops > 1e10 ? 3 : 10;
    const double best = best_of(times, f);
    std::printf("Benchmark%s/%ldx%ld \t%d\t%.0f ns/op\t%.1f GFLOP/s", name.c_str(), long(out), long(in), times, best * 1e9, flops / best / 1e9);
    if (peak > 0) std::printf("\t%.3f of-peak", flops / best / 1e9 / peak);
    std::printf("\n");
}

// Twelve independent chains of an instruction, that many times over.
#define GRAFT_CHAINS(name, isa, instruction, a, b, to)                                                              \
    __attribute__((target(isa))) void name(int64_t times) {                                                        \
        asm volatile("1:\n" GRAFT_CHAIN(instruction, a, b, to, 0) GRAFT_CHAIN(instruction, a, b, to, 1)             \
                         GRAFT_CHAIN(instruction, a, b, to, 2) GRAFT_CHAIN(instruction, a, b, to, 3)               \
                         GRAFT_CHAIN(instruction, a, b, to, 4) GRAFT_CHAIN(instruction, a, b, to, 5)               \
                         GRAFT_CHAIN(instruction, a, b, to, 6) GRAFT_CHAIN(instruction, a, b, to, 7)               \
                         GRAFT_CHAIN(instruction, a, b, to, 8) GRAFT_CHAIN(instruction, a, b, to, 9)               \
                         GRAFT_CHAIN(instruction, a, b, to, 10) GRAFT_CHAIN(instruction, a, b, to, 11) "dec %0\njnz 1b\n" \
                     : "+r"(times)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                       "xmm11", "xmm14", "xmm15", "cc");                                                           \
    }
#define GRAFT_CHAIN(instruction, a, b, to, r) instruction " %%" a ", %%" b ", %%" to #r "\n"
#if defined(__x86_64__)
GRAFT_CHAINS(bf16_dots, "avx512f,avx512bf16", "vdpbf16ps", "zmm14", "zmm15", "zmm")
GRAFT_CHAINS(wide_fmas, "avx512f", "vfmadd231ps", "zmm14", "zmm15", "zmm")
GRAFT_CHAINS(fmas, "avx2,fma", "vfmadd231ps", "ymm14", "ymm15", "ymm")
#endif

// What the machine reaches with its multiply-adds for a type, on one thread and on all.
void measure_peak(graft_context* context, graft_dtype type, const char* type_name) {
    void (*chains)(int64_t) = nullptr;
    double flops = 0;  // of an instruction
#if defined(__x86_64__)
    if (context->isa == Isa::avx512bf16 && type == GRAFT_BF16) chains = bf16_dots, flops = 64;
    else if (context->isa >= Isa::avx512) chains = wide_fmas, flops = 32;
    else if (context->isa == Isa::avx2) chains = fmas, flops = 16;
#endif
    peak = 0;
    if (!chains) return;
    constexpr int64_t kTimes = 300000;
    for (const int threads : {1, context->pool.threads()}) {
        const double best = best_of(8, [&]() -> graft_status* {
            if (threads == 1) chains(kTimes);
            else context->pool.run([&](int, int) { chains(kTimes); });
            return nullptr;
        });
        peak = flops * 12 * double(kTimes) * threads / best / 1e9;
        std::printf("BenchmarkPeak/dtype=%s/threads=%d \t8\t%.0f ns/op\t%.1f GFLOP/s\n", type_name, threads, best * 1e9, peak);
    }
}

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

// A frozen weight as one of three storages: "f32", "bf16", "nf4".
graft_weight random_weight(const char* storage, int64_t out, int64_t in) {
    if (*storage != 'n') return {random_matrix(*storage == 'f' ? GRAFT_F32 : GRAFT_BF16, out, in), {}, {}, {}, out, in};
    const auto bytes = [](int64_t n) {
        auto* p = static_cast<uint8_t*>(allocate_pages(n));
        for (int64_t i = 0; i < n; i++) p[i] = uint8_t(i * 2654435761u >> 16);
        return flat(p, GRAFT_U8, n);
    };
    const int64_t blocks = out * in / 64;
    graft_tensor nested = random_matrix(GRAFT_F32, 1, (blocks + 255) / 256), offset = random_matrix(GRAFT_F32, 1, 1);
    return {bytes(out * in / 2), bytes(blocks), flat(nested.data, GRAFT_F32, nested.shape[1]), flat(offset.data, GRAFT_F32, 1), out, in};
}

// A benchmark's name with the storage of its weight.
std::string of(const char* name, const char* storage) { return std::string(name) + "/w=" + storage; }

void layers(graft_context* c, const char* storage, int64_t out, int64_t in) {
    const graft_dtype type = *storage == 'f' ? GRAFT_F32 : GRAFT_BF16;
    const auto act = [&](int64_t rows, int64_t cols) { return random_matrix(type, rows, cols); };
    const auto f32 = [](int64_t rows, int64_t cols) { return random_matrix(GRAFT_F32, rows, cols); };
    const graft_tensor x = act(kTokens, in), y = act(kTokens, out), dx = act(kTokens, in), dw = f32(out, in);
    const graft_weight w = random_weight(storage, out, in);
    graft_low_rank adapter = {f32(kRank, in), f32(out, kRank), act(kTokens, kRank), 2, {}, f32(kRank, in), f32(out, kRank), {}};
    const int64_t bytes = 4 * kRank * (kTokens + out) + 1024;
    const graft_tensor scratch = flat(allocate_pages(bytes), GRAFT_U8, bytes);
    const double flops = 2.0 * kTokens * double(in * out), low = 2.0 * kTokens * kRank * double(in + out);
    graft_linear_args f = {y, x, w, {}, &adapter, 0, scratch};
    graft_linear_backward_args b = {dx, {}, {}, y, x, w, &adapter, 0, scratch, 0};
    measure(of("Linear", storage), out, in, flops, [&] { return linear(c, &f); });
    measure(of("LinearBackward", storage), out, in, flops, [&] { return linear_backward(c, &b); });
    f.num_adapters = b.num_adapters = 1;
    measure(of("LinearLoRA", storage), out, in, flops + low, [&] { return linear(c, &f); });
    measure(of("LinearBackwardLoRA", storage), out, in, flops + 2 * low, [&] { return linear_backward(c, &b); });
    if (*storage == 'n') return;
    b.num_adapters = 0, b.dw = dw;
    measure(of("LinearBackwardFull", storage), out, in, 2 * flops, [&] { return linear_backward(c, &b); });
}

// Few rows: reading the weight is most of the time.
void few_tokens(graft_context* c, const char* storage, int64_t out, int64_t in) {
    const graft_dtype type = *storage == 'f' ? GRAFT_F32 : GRAFT_BF16;
    const graft_weight w = random_weight(storage, out, in);
    const double bytes = *storage == 'f' ? 4 : *storage == 'b' ? 2 : 0.516;
    for (int64_t m : {1, 2, 4, 8, 16}) {
        const graft_linear_args f = {random_matrix(type, m, out), random_matrix(type, m, in), w, {}, nullptr, 0, {}};
        const double best = best_of(8, [&] { return linear(c, &f); }), weights = double(out * in) / best / 1e9;
        std::printf("Benchmark%s/rows=%ld/%ldx%ld \t8\t%.0f ns/op\t%.2f Gweights/s\t%.1f GB/s\n", of("Generate", storage).c_str(),
                    long(m), long(out), long(in), best * 1e9, weights, weights * bytes);
    }
}

void head(graft_context* c, const char* storage) {
    const graft_dtype type = *storage == 'f' ? GRAFT_F32 : GRAFT_BF16;
    constexpr int64_t kChunk = 341;  // 64 MiB of logits
    std::vector<int32_t> rows(kTokens), targets(kTokens);
    std::vector<float> weights(kTokens, 1);
    for (int i = 0; i < kTokens; i++) rows[size_t(i)] = i, targets[size_t(i)] = i * 37;
    float loss[2] = {}, inverse = 1.0f / kTokens;
    const int64_t bytes = 4 * kChunk * (kVocab + 16 + kHidden + 2) + 1280;
    graft_linear_cross_entropy_args a = {flat(loss, GRAFT_F32, 2), random_matrix(type, kTokens, kHidden), {},
        random_matrix(type, kTokens, kHidden), random_weight(storage, kVocab, kHidden),
        flat(rows.data(), GRAFT_I32, kTokens), flat(targets.data(), GRAFT_I32, kTokens), flat(weights.data(), GRAFT_F32, kTokens),
        flat(&inverse, GRAFT_F32, 1), 0, 0, 0, kChunk, flat(allocate_pages(bytes), GRAFT_U8, bytes)};
    const double flops = 2.0 * kTokens * double(kVocab * kHidden);
    measure(of("CrossEntropyBackward", storage), kVocab, kHidden, 2 * flops, [&] { return linear_cross_entropy(c, &a); });
    a.dx = {};
    measure(of("CrossEntropyLoss", storage), kVocab, kHidden, flops, [&] { return linear_cross_entropy(c, &a); });
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
    for (const char* storage : {"f32", "bf16", "nf4"}) {
        if (*storage != 'n') measure_peak(&context, *storage == 'f' ? GRAFT_F32 : GRAFT_BF16, storage);
        layers(&context, storage, kHidden, kHidden);
        layers(&context, storage, 1536, kHidden);
        layers(&context, storage, kHidden, 1536);
        if (*storage != 'n') head(&context, storage);
        few_tokens(&context, storage, 16384, 4096);
    }
}

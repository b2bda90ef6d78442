// Benchmarks of the CUDA operations. Each line: name, median, 20th and 80th
// percentile in microseconds, rate, and its share of the limit measured in this
// process: a copy for what is bound by memory, cuBLASLt's 8192^3 bf16 product for
// what is bound by arithmetic. L2 is flushed before each sample, data are normal,
// events time. Products are compared with cuBLASLt's result before they are timed.
//
//   bench [part of a name]     CSV on stdout
//   bench choose               the fastest kernel of each product, for GRAFT_CUDA_GEMM_TABLE
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "../../csrc/cuda/gemm.cuh"
#include "../../csrc/cuda/lora.cuh"
#include "../../csrc/cuda/weight.cuh"

namespace {

using namespace graft::cuda;

graft_context* context;
std::string filter;
double copy_rate = 0, product_rate = 0;  // bytes/s, FLOP/s
void* flush_data;
constexpr size_t kFlush = size_t(256) << 20;
bool failed = false;

void check_runtime(cudaError_t e, const char* what) {
    if (e == cudaSuccess) return;
    std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(e));
    std::exit(1);
}
bool ok(graft_status* status, const std::string& name) {
    if (!status) return true;
    std::fprintf(stderr, "%s: %s\n", name.c_str(), status->message.c_str());
    graft::free_status(status);
    failed = true;
    return false;
}

struct Times {
    double median, low, high;  // seconds
};
Times measure(const std::function<void()>& work, int samples = 100) {
    cudaEvent_t start, stop;
    cudaEventCreate(&start);
    cudaEventCreate(&stop);
    std::vector<float> ms;
    for (int i = 0; i < samples + 5; ++i) {
        cudaMemsetAsync(flush_data, i, kFlush, context->stream);
        cudaEventRecord(start, context->stream);
        work();
        cudaEventRecord(stop, context->stream);
        check_runtime(cudaEventSynchronize(stop), "benchmark");
        float t = 0;
        cudaEventElapsedTime(&t, start, stop);
        if (i >= 5) ms.push_back(t);
    }
    cudaEventDestroy(start);
    cudaEventDestroy(stop);
    std::sort(ms.begin(), ms.end());
    const auto at = [&](double q) { return double(ms[size_t(q * double(ms.size() - 1))]) / 1e3; };
    return {at(0.5), at(0.2), at(0.8)};
}

// bytes or flops, whichever bounds the operation; the other is 0.
void report(const std::string& name, double bytes, double flops, const std::function<graft_status*()>& work) {
    if (name.find(filter) == std::string::npos || !ok(work(), name)) return;
    const Times t = measure([&] { ok(work(), name); });
    const double rate = (flops > 0 ? flops : bytes) / t.median, limit = flops > 0 ? product_rate : copy_rate;
    std::printf("%s,%.2f,%.2f,%.2f,%.1f,%s,%.3f\n", name.c_str(), t.median * 1e6, t.low * 1e6, t.high * 1e6,
                rate / (flops > 0 ? 1e12 : 1e9), flops > 0 ? "TFLOP/s" : "GB/s", rate / limit);
    std::fflush(stdout);
}

// ---- data ---------------------------------------------------------------------

std::vector<void*> blocks;
graft_tensor tensor(int32_t type, int64_t rows, int64_t cols, double scale = 1.0) {
    const int64_t n = rows * cols, size = type == GRAFT_BF16 ? 2 : type == GRAFT_U8 ? 1 : 4;
    graft_tensor t{nullptr, type, 2, {rows, cols}, cols};
    check_runtime(cudaMalloc(&t.data, size_t(n * size)), "memory");
    blocks.push_back(t.data);
    std::vector<char> host(size_t(n * size));
    static std::mt19937 engine(1);
    std::normal_distribution<float> draw;
    std::vector<float> pool(1 << 16);  // drawn once, repeated with an odd step
    for (float& v : pool) v = draw(engine);
    for (int64_t i = 0; i < n; ++i) {
        const float v = float(scale) * pool[size_t(i * 7919) % pool.size()];
        if (type == GRAFT_BF16) reinterpret_cast<bf16*>(host.data())[i] = __float2bfloat16_rn(v);
        else if (type == GRAFT_F32) reinterpret_cast<float*>(host.data())[i] = v;
        else if (type == GRAFT_I32) reinterpret_cast<int32_t*>(host.data())[i] = int32_t(i);
        else host[size_t(i)] = char(engine());
    }
    check_runtime(cudaMemcpy(t.data, host.data(), host.size(), cudaMemcpyHostToDevice), "copy");
    return t;
}
graft_tensor integers(const std::vector<int32_t>& values) {
    graft_tensor t{nullptr, GRAFT_I32, 1, {int64_t(values.size())}, 1};
    check_runtime(cudaMalloc(&t.data, values.size() * 4), "memory");
    blocks.push_back(t.data);
    check_runtime(cudaMemcpy(t.data, values.data(), values.size() * 4, cudaMemcpyHostToDevice), "copy");
    return t;
}
void release() {
    for (void* block : blocks) cudaFree(block);
    blocks.clear();
}

// ---- operations ---------------------------------------------------------------

void products(int64_t t, int64_t in, int64_t out) {
    const graft_tensor x = tensor(GRAFT_BF16, t, in), w = tensor(GRAFT_BF16, out, in, 0.02);
    const graft_tensor y = tensor(GRAFT_BF16, t, out), reference = tensor(GRAFT_BF16, t, out);
    const std::string shape = "/" + std::to_string(t) + "x" + std::to_string(in) + "x" + std::to_string(out);
    const double flops = 2.0 * double(t) * double(in) * double(out);
    auto product = [&](const graft_tensor& c) {
        Gemm g;
        g.type = GRAFT_BF16;
        g.m = t;
        g.n = out;
        g.k = in;
        g.a = {x.data, in};
        g.b = {w.data, in};
        g.c = c.data;
        g.c_type = GRAFT_BF16;
        g.c_pitch = out;
        return g;
    };
    bool taken = false;
    auto library = [&](const graft_tensor& c) { return gemm_cublaslt(context, product(c), Carver(*context), &taken); };
    if (!ok(library(reference), "cublaslt") || !taken) return;
    auto agrees = [&](const char* name) {
        std::vector<bf16> a(size_t(t * out)), b(size_t(t * out));
        cudaStreamSynchronize(context->stream);
        cudaMemcpy(a.data(), y.data, a.size() * 2, cudaMemcpyDeviceToHost);
        cudaMemcpy(b.data(), reference.data, b.size() * 2, cudaMemcpyDeviceToHost);
        double error = 0, size = 0;
        for (size_t i = 0; i < a.size(); ++i) {
            const double d = double(__bfloat162float(a[i])) - double(__bfloat162float(b[i]));
            error += d * d;
            size += double(__bfloat162float(b[i])) * double(__bfloat162float(b[i]));
        }
        const bool good = std::sqrt(error / size) < 4e-3;  // both are rounded to bf16
        if (!good) std::fprintf(stderr, "%s: relative difference %g from cuBLASLt\n", name, std::sqrt(error / size));
        failed |= !good;
        return good;
    };
    report("gemm_cublaslt" + shape, 0, flops, [&] { return library(y); });
    if (ok(gemm_mma(context, product(y), nullptr, 1), "gemm_mma") && agrees("gemm_mma"))
        report("gemm_mma" + shape, 0, flops, [&] { return gemm_mma(context, product(y), nullptr, 1); });
    if (gemm_wgmma_takes(context, product(y)) && ok(gemm_wgmma(context, product(y)), "gemm_wgmma") && agrees("gemm_wgmma"))
        report("gemm_wgmma" + shape, 0, flops, [&] { return gemm_wgmma(context, product(y)); });
    release();
}

void lora(int64_t t, int64_t in, int64_t out, int64_t rank) {
    graft_low_rank p{};
    p.a = tensor(GRAFT_F32, rank, in, 0.02);
    p.b = tensor(GRAFT_F32, out, rank, 0.02);
    p.xa = tensor(GRAFT_BF16, t, rank);
    p.da = tensor(GRAFT_F32, rank, in);
    p.db = tensor(GRAFT_F32, out, rank);
    p.scale = 2;
    graft_linear_args f{};
    f.y = tensor(GRAFT_BF16, t, out);
    f.x = tensor(GRAFT_BF16, t, in);
    f.w.data = tensor(GRAFT_BF16, out, in, 0.02);
    f.w.out = out;
    f.w.in = in;
    f.adapters = &p;
    f.num_adapters = 1;
    f.scratch = tensor(GRAFT_U8, 1, 8 * (t * rank + rank * (in + out)));
    graft_linear_backward_args b{};
    b.dx = tensor(GRAFT_BF16, t, in);
    b.dy = f.y;
    b.x = f.x;
    b.w = f.w;
    b.adapters = &p;
    b.num_adapters = 1;
    b.scratch = f.scratch;
    const std::string shape = "/" + std::to_string(t) + "x" + std::to_string(in) + "x" + std::to_string(out) + "+" + std::to_string(rank);
    const double flops = 2.0 * double(t) * double(in) * double(out);
    report("lora_linear" + shape, 0, flops, [&] { return linear(context, &f); });
    report("lora_linear_backward" + shape, 0, flops, [&] { return linear_backward(context, &b); });
    release();
}

// The products of a layer with an adapter, forward and for dx, by each kernel.
void choose_kernels(int64_t t, int64_t in, int64_t out) {
    for (Layout layout : {Layout::NT, Layout::NN})
        for (int64_t rank : {int64_t(0), int64_t(16), int64_t(64)}) {
            const bool nt = layout == Layout::NT;
            const int64_t n = nt ? out : in, k = nt ? in : out, r = rank > 0 ? rank : 1;
            const graft_tensor a = tensor(GRAFT_BF16, t, k), w = tensor(GRAFT_BF16, out, in, 0.02), c = tensor(GRAFT_BF16, t, n);
            const graft_tensor s = tensor(GRAFT_BF16, t, r), b = nt ? tensor(GRAFT_BF16, n, r) : tensor(GRAFT_BF16, r, n);
            Gemm g;
            g.layout = layout;
            g.type = g.c_type = GRAFT_BF16;
            g.m = t;
            g.n = g.c_pitch = n;
            g.k = k;
            g.rank = rank;
            g.a = {a.data, k};
            g.b = {w.data, in};
            g.a2 = {s.data, r};
            g.b2 = {b.data, nt ? r : n};
            g.c = c.data;
            const char* best = "own";
            double least = measure([&] { ok(gemm_mma(context, g, nullptr, 1), "own"); }, 30).median;
            if (gemm_wgmma_takes(context, g)) {
                const double m = measure([&] { ok(gemm_wgmma(context, g), "wgmma"); }, 30).median;
                if (m < least) least = m, best = "wgmma";
            }
            bool taken = false;
            if (ok(gemm_cublaslt(context, g, Carver(*context), &taken), "cublaslt") && taken) {
                const double m = measure([&] { ok(gemm_cublaslt(context, g, Carver(*context), &taken), "cublaslt"); }, 30).median;
                if (m < least) least = m, best = "cublaslt";
            }
            std::printf("%s %lld %lld %lld %lld %s\n", nt ? "NT" : "NN", (long long)t, (long long)n, (long long)k, (long long)rank, best);
            std::fflush(stdout);
            release();
        }
}

// The low-rank side alone: bound by the bytes of x and of dy.
void low_rank(int64_t t, int64_t in, int64_t out, int64_t rank) {
    const graft_tensor x = tensor(GRAFT_BF16, t, in), a = tensor(GRAFT_BF16, rank, in), dy = tensor(GRAFT_BF16, t, out);
    const graft_tensor b = tensor(GRAFT_BF16, out, rank), s = tensor(GRAFT_BF16, t, rank), ds = tensor(GRAFT_BF16, t, rank);
    const graft_tensor db = tensor(GRAFT_F32, out, rank);
    Stack stack;
    stack.count = 1;
    stack.rank = int(rank);
    stack.at[0] = {0, int(rank), 2.0f, nullptr, 0, static_cast<float*>(db.data), rank, nullptr};
    bool taken = false;
    const LoraDown down{{x.data, in}, {a.data, in}, static_cast<bf16*>(s.data), t, in};
    const LoraBackward back{{dy.data, out}, {b.data, rank}, static_cast<bf16*>(s.data), static_cast<bf16*>(ds.data), t, out};
    report("lora_down/" + std::to_string(t) + "x" + std::to_string(in) + "+" + std::to_string(rank), 2.0 * double(t * in), 0,
           [&] { return lora_down(context, down, stack, Carver(*context), &taken); });
    report("lora_ds_db/" + std::to_string(t) + "x" + std::to_string(out) + "+" + std::to_string(rank), 2.0 * double(t * out), 0,
           [&] { return lora_backward(context, back, stack, Carver(*context), &taken); });
    release();
}

// One step of generation: a product with NF4 weights, and attention over a cache.
void generation(int64_t tokens, int64_t h, int64_t wide, int64_t cached) {
    {
        graft_linear_args f{};
        f.y = tensor(GRAFT_BF16, tokens, wide);
        f.x = tensor(GRAFT_BF16, tokens, h);
        f.w.out = wide;
        f.w.in = h;
        f.w.data = tensor(GRAFT_U8, wide, h / 2);
        f.w.absmax = tensor(GRAFT_U8, 1, wide * h / 64);
        f.w.nested = tensor(GRAFT_F32, 1, wide * h / 64 / 256);
        f.w.offset = tensor(GRAFT_F32, 1, 1);
        report("nf4_rows/" + std::to_string(tokens) + "x" + std::to_string(h) + "x" + std::to_string(wide), 0.516 * double(wide * h), 0,
               [&] { return linear(context, &f); });
        release();
    }
    const int64_t heads = 32, kv = 8, d = 128;
    std::vector<int32_t> cu{0}, keys;
    for (int32_t i = 0; i < tokens; ++i) {
        cu.push_back(i + 1);
        keys.push_back(int32_t(i * cached));
        keys.push_back(int32_t(cached));
    }
    graft_attention_args a{};
    a.o = tensor(GRAFT_BF16, tokens, heads * d);
    a.lse = tensor(GRAFT_F32, tokens, heads);
    a.q = tensor(GRAFT_BF16, tokens, heads * d);
    a.k = tensor(GRAFT_BF16, tokens * cached, kv * d);
    a.v = tensor(GRAFT_BF16, tokens * cached, kv * d);
    a.cu = integers(cu);
    a.keys = integers(keys);
    a.heads = heads;
    a.kv_heads = kv;
    a.dim = d;
    a.scale = 0.088388f;
    a.causal = 1;
    report("attention_decode/" + std::to_string(tokens) + "x" + std::to_string(cached), 4.0 * double(tokens * cached * kv * d), 0,
           [&] { return attention(context, &a); });
    release();
}

void output_layer(int64_t t, int64_t h, int64_t vocab) {
    const int64_t chunk = 512;
    std::vector<int32_t> rows, targets;
    for (int32_t i = 0; i < t; ++i) {
        rows.push_back(i);
        targets.push_back(int32_t(int64_t(i) * 7919 % vocab));
    }
    graft_linear_cross_entropy_args a{};
    a.loss = tensor(GRAFT_F32, 1, 2);
    a.dx = tensor(GRAFT_BF16, t, h);
    a.x = tensor(GRAFT_BF16, t, h);
    a.w.data = tensor(GRAFT_BF16, vocab, h, 0.02);
    a.w.out = vocab;
    a.w.in = h;
    a.rows = integers(rows);
    a.targets = integers(targets);
    a.weights = tensor(GRAFT_F32, 1, t);
    a.inverse = tensor(GRAFT_F32, 1, 1);
    a.chunk_rows = chunk;
    a.scratch = tensor(GRAFT_U8, 1, 4 * (chunk * (vocab + 2 * h) + h));
    report("linear_cross_entropy/" + std::to_string(t) + "x" + std::to_string(vocab), 0, 4.0 * double(t) * double(h) * double(vocab),
           [&] { return linear_cross_entropy(context, &a); });
    release();
    graft_embedding_backward_args b{tensor(GRAFT_F32, vocab, h), tensor(GRAFT_BF16, t, h), integers(targets)};
    report("embedding_backward/" + std::to_string(t) + "x" + std::to_string(h), 10.0 * double(t * h), 0,
           [&] { return embedding_backward(context, &b); });
    release();
}

void memory_bound(int64_t t, int64_t h, int64_t wide) {
    {
        graft_weight w{};
        w.out = wide;
        w.in = h;
        w.data = tensor(GRAFT_U8, wide, h / 2);
        w.absmax = tensor(GRAFT_U8, 1, wide * h / 64);
        w.nested = tensor(GRAFT_F32, 1, wide * h / 64 / 256);
        w.offset = tensor(GRAFT_F32, 1, 1);
        const graft_tensor y = tensor(GRAFT_BF16, wide, h);
        report("nf4_dequantize/" + std::to_string(wide) + "x" + std::to_string(h), 2.516 * double(wide * h), 0,
               [&] { return materialise(context, w, 0, wide, 0, h, y.data, GRAFT_BF16); });
        release();
    }
    const double activations = double(t * h) * 2, gated = double(t * wide) * 2;
    const std::string narrow = "/" + std::to_string(t) + "x" + std::to_string(h), broad = "/" + std::to_string(t) + "x" + std::to_string(wide);
    {
        graft_rms_norm_args f{};
        f.x = tensor(GRAFT_BF16, t, h);
        f.residual = tensor(GRAFT_BF16, t, h);
        f.sum = tensor(GRAFT_BF16, t, h);
        f.y = tensor(GRAFT_BF16, t, h);
        f.rstd = tensor(GRAFT_F32, 1, t);
        f.w = tensor(GRAFT_BF16, 1, h);
        f.eps = 1e-5f;
        report("rms_norm_residual" + narrow, 4 * activations, 0, [&] { return rms_norm(context, &f); });
        graft_rms_norm_backward_args b{};
        b.dx = f.sum;
        b.dy = f.y;
        b.x = f.x;
        b.rstd = f.rstd;
        b.w = f.w;
        report("rms_norm_backward" + narrow, 3 * activations, 0, [&] { return rms_norm_backward(context, &b); });
        release();
    }
    {
        const graft_tensor g = tensor(GRAFT_BF16, t, wide), u = tensor(GRAFT_BF16, t, wide), y = tensor(GRAFT_BF16, t, wide);
        const graft_swiglu_args f{y, g, u};
        const graft_swiglu_backward_args b{g, u, y, g, u};
        report("swiglu" + broad, 3 * gated, 0, [&] { return swiglu(context, &f); });
        report("swiglu_backward" + broad, 5 * gated, 0, [&] { return swiglu_backward(context, &b); });
        release();
    }
    {
        const graft_tensor x = tensor(GRAFT_BF16, t, h);
        const graft_rope_args a{x, x, tensor(GRAFT_BF16, t, 128), 128, 0};
        report("rope" + narrow, 2 * activations, 0, [&] { return rope(context, &a); });
        release();
    }
    {
        const int64_t n = int64_t(64) << 20;
        const graft_tensor g = tensor(GRAFT_F32, 1, n), norm = tensor(GRAFT_F32, 1, 4), lr = tensor(GRAFT_F32, 1, 1);
        const graft_grad_norm_args f{norm, g, {}, 1.0f};
        report("grad_norm/" + std::to_string(n), 4 * double(n), 0, [&] { return grad_norm(context, &f); });
        const graft_adamw_args a{tensor(GRAFT_F32, 1, n), tensor(GRAFT_F32, 1, n), tensor(GRAFT_F32, 1, n), g, norm, lr, 0.9f, 0.999f, 1e-8f, 0.01f, 1.0f};
        report("adamw/" + std::to_string(n), 28 * double(n), 0, [&] { return adamw(context, &a); });
        graft_adamw8_args e{};
        e.p = a.p;
        e.m = tensor(GRAFT_U8, 1, n);
        e.v = tensor(GRAFT_U8, 1, n);
        e.m_scale = tensor(GRAFT_F32, 1, n / 256);
        e.v_scale = tensor(GRAFT_F32, 1, n / 256);
        e.g = g;
        e.norm = norm;
        e.lr = lr;
        e.beta1 = 0.9f;
        e.beta2 = 0.999f;
        e.eps = 1e-8f;
        e.lr_scale = 1.0f;
        report("adamw8/" + std::to_string(n), 16.03 * double(n), 0, [&] { return adamw8(context, &e); });
        release();
    }
}

void causal_attention(int64_t length) {
    const int64_t t = length <= 8192 ? 8192 : length, heads = 32, kv = 8, d = 128;
    std::vector<int32_t> cu;
    for (int64_t i = 0; i <= t; i += length) cu.push_back(int32_t(i));
    graft_attention_args f{};
    f.o = tensor(GRAFT_BF16, t, heads * d);
    f.lse = tensor(GRAFT_F32, t, heads);
    f.q = tensor(GRAFT_BF16, t, heads * d);
    f.k = tensor(GRAFT_BF16, t, kv * d);
    f.v = tensor(GRAFT_BF16, t, kv * d);
    f.cu = integers(cu);
    f.heads = heads;
    f.kv_heads = kv;
    f.dim = d;
    f.scale = 0.088388f;
    f.causal = 1;
    graft_attention_backward_args b{};
    b.dq = tensor(GRAFT_BF16, t, heads * d);
    b.dk = tensor(GRAFT_BF16, t, kv * d);
    b.dv = tensor(GRAFT_BF16, t, kv * d);
    b.d_o = tensor(GRAFT_BF16, t, heads * d);
    b.o = f.o;
    b.lse = f.lse;
    b.q = f.q;
    b.k = f.k;
    b.v = f.v;
    b.cu = f.cu;
    b.heads = heads;
    b.kv_heads = kv;
    b.dim = d;
    b.scale = f.scale;
    b.causal = 1;
    b.scratch = tensor(GRAFT_U8, 1, 4 * t * heads);
    const double flops = 4.0 * double(t) * double(length) / 2 * double(heads * d);
    report("attention/" + std::to_string(length), 0, flops, [&] { return attention(context, &f); });
    report("attention_backward/" + std::to_string(length), 0, 2.5 * flops, [&] { return attention_backward(context, &b); });
    release();
}

void limits() {
    const size_t bytes = size_t(1) << 30;
    void *a = nullptr, *b = nullptr;
    check_runtime(cudaMalloc(&a, bytes), "memory");
    check_runtime(cudaMalloc(&b, bytes), "memory");
    const Times t = measure([&] { cudaMemcpyAsync(a, b, bytes, cudaMemcpyDeviceToDevice, context->stream); }, 20);
    copy_rate = 2.0 * double(bytes) / t.median;
    cudaFree(a);
    cudaFree(b);
    const int64_t n = 8192;
    const graft_tensor x = tensor(GRAFT_BF16, n, n), w = tensor(GRAFT_BF16, n, n), y = tensor(GRAFT_BF16, n, n);
    Gemm g;
    g.type = g.c_type = GRAFT_BF16;
    g.m = g.n = g.k = g.c_pitch = n;
    g.a = {x.data, n};
    g.b = {w.data, n};
    g.c = y.data;
    bool taken = false;
    const Times p = measure([&] { ok(gemm_cublaslt(context, g, Carver(*context), &taken), "limit"); }, 20);
    product_rate = 2.0 * 512.0 * 1073741824.0 / p.median;
    if (!taken) std::fprintf(stderr, "cuBLASLt is not there: shares of arithmetic are meaningless\n");
    std::printf("# copy %.0f GB/s, 8192^3 bf16 product %.0f TFLOP/s\n", copy_rate / 1e9, product_rate / 1e12);
    release();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) filter = argv[1];
    const graft_context_options o{sizeof o, 0, 0, int64_t(256) << 20, 0};
    if (graft_status* status = graft_cuda_api()->context_create(&context, &o)) {
        std::fprintf(stderr, "%s\n", status->message.c_str());
        return 1;
    }
    check_runtime(cudaMalloc(&flush_data, kFlush), "memory");
    if (filter == "choose") {
        for (int64_t t : {2048, 8192})
            for (const auto& [in, out] : {std::pair<int64_t, int64_t>{4096, 4096}, {4096, 14336}, {14336, 4096}, {8192, 8192}})
                choose_kernels(t, in, out);
        return failed ? 1 : 0;
    }
    limits();
    std::printf("name,median_us,p20_us,p80_us,rate,unit,share_of_limit\n");
    for (const auto& [in, out] : {std::pair<int64_t, int64_t>{4096, 4096}, {4096, 14336}, {8192, 8192}}) {
        products(8192, in, out);
        lora(8192, in, out, 16);
        low_rank(8192, in, out, 16);
    }
    memory_bound(8192, 4096, 14336);
    for (int64_t length : {2048, 4096, 8192, 16384}) causal_attention(length);
    for (int64_t tokens : {1, 8}) generation(tokens, 4096, 14336, 4096);
    output_layer(8192, 4096, 128256);
    cudaFree(flush_data);
    graft_cuda_api()->context_destroy(context);
    return failed ? 1 : 0;
}

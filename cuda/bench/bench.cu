// Benchmarks of the CUDA operations. Each line: name, median, 20th and 80th percentile
// in microseconds, rate, and its share of the limit measured in this process: a copy
// for what is bound by memory, cuBLASLt's 8192^3 bf16 product for what is bound by
// arithmetic. L2 is flushed before each sample, data are normal, events time. Every
// operation is first compared with sums in double on the host, at the shape that is timed.
//
//   bench [part of a name]     CSV on stdout
//   bench choose               the fastest kernel of each product, for GRAFT_CUDA_GEMM_TABLE
//   bench small                the comparisons alone, at small shapes, as the emulation can
#include "bench.h"

#include <algorithm>
#include <cstdio>
#include <random>

#include "../../csrc/cuda/gemm.cuh"

namespace bench {

graft_context* context;
bool small = false;

namespace {
std::string filter;
double copy_rate = 0, product_rate = 0;  // bytes/s, FLOP/s
std::vector<void*> blocks;
bool failed = false;
int checked = 0;

void check_runtime(cudaError_t e, const char* what) {
    if (e == cudaSuccess) return;
    std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(e));
    std::exit(1);
}
int64_t size_of(int32_t type) { return type == GRAFT_BF16 ? 2 : type == GRAFT_U8 ? 1 : 4; }

void* upload(const void* from, size_t bytes) {
    void* to = nullptr;
    check_runtime(cudaMalloc(&to, bytes), "memory");
    blocks.push_back(to);
    check_runtime(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copy");
    return to;
}
}  // namespace

void fail(const std::string& text) {
    std::fprintf(stderr, "%s\n", text.c_str());
    failed = true;
}
bool ok(graft_status* status, const std::string& name) {
    if (!status) return true;
    fail(name + ": " + status->message);
    graft::free_status(status);
    return false;
}
bool selected(const std::string& name) { return name.find(filter) != std::string::npos; }
void note(const std::string& text) {
    std::printf("# %s\n", text.c_str());
    std::fflush(stdout);
}

#if defined(__CUDACC__)
Times measure(const std::function<void()>& work, int samples) {
    constexpr size_t kFlush = size_t(256) << 20;
    static void* const flush = [] {
        void* data = nullptr;
        check_runtime(cudaMalloc(&data, kFlush), "memory");
        return data;
    }();
    cudaEvent_t start, stop;
    cudaEventCreate(&start);
    cudaEventCreate(&stop);
    std::vector<float> ms;
    for (int i = 0; i < samples + 5; ++i) {
        cudaMemsetAsync(flush, i, kFlush, context->stream);
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
#else
Times measure(const std::function<void()>&, int) { return {1, 1, 1}; }  // the emulation has no time
#endif

void report(const Operation& o) {
    if (!selected(o.name) || !ok(o.work(), o.name)) return;
    Compared all;
    o.check(all);
    ++checked;
    if (!(all.error() <= o.tolerance)) return fail(o.name + ": differs by " + std::to_string(all.error()) + " from the sums in double");
    if (small) return;
    const Times t = measure([&] { ok(o.work(), o.name); });
    const double rate = (o.flops > 0 ? o.flops : o.bytes) / t.median, limit = o.flops > 0 ? product_rate : copy_rate;
    std::printf("%s,%.2f,%.2f,%.2f,%.1f,%s,", o.name.c_str(), t.median * 1e6, t.low * 1e6, t.high * 1e6,
                rate / (o.flops > 0 ? 1e12 : 1e9), o.flops > 0 ? "TFLOP/s" : "GB/s");
    if (limit > 0) std::printf("%.3f", rate / limit);  // nothing where it was not measured
    std::printf("\n");
    std::fflush(stdout);
}

graft_tensor tensor(int32_t type, int64_t rows, int64_t cols, double scale) {
    const int64_t n = rows * cols;
    std::vector<char> host(size_t(n * size_of(type)));
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
    return {upload(host.data(), host.size()), type, 2, {rows, cols}, cols};
}
graft_tensor floats(const std::vector<float>& values) {
    return {upload(values.data(), values.size() * 4), GRAFT_F32, 1, {int64_t(values.size())}, 1};
}
graft_tensor integers(const std::vector<int32_t>& values) {
    return {upload(values.data(), values.size() * 4), GRAFT_I32, 1, {int64_t(values.size())}, 1};
}
void release() {
    check_runtime(cudaStreamSynchronize(context->stream), "operation");
    for (void* block : blocks) cudaFree(block);
    blocks.clear();
}

Host::Host(const graft_tensor& t) : bytes_(size_t(elements(t) * size_of(t.dtype))), pitch_(cols(t)), type_(t.dtype) {
    check_runtime(cudaStreamSynchronize(context->stream), "operation");
    check_runtime(cudaMemcpy(bytes_.data(), t.data, bytes_.size(), cudaMemcpyDeviceToHost), "copy");
}
double Host::operator()(int64_t row, int64_t col) const {
    const size_t i = size_t(row * pitch_ + col);
    if (type_ == GRAFT_BF16) return double(__bfloat162float(reinterpret_cast<const bf16*>(bytes_.data())[i]));
    return double(reinterpret_cast<const float*>(bytes_.data())[i]);
}

std::vector<int64_t> some(int64_t n, int count) {
    std::vector<int64_t> all{0, n - 1};
    for (int64_t i = 1; int64_t(all.size()) < count && i < n; ++i) all.push_back(i * 1000003 % n);
    return all;
}

namespace {

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
    std::printf("# copy %.0f GB/s, ", copy_rate / 1e9);
    if (taken) product_rate = 2.0 * 512.0 * 1073741824.0 / p.median;
    if (taken) std::printf("8192^3 bf16 product %.0f TFLOP/s\n", product_rate / 1e12);
    else std::printf("no limit of arithmetic: cuBLASLt is not there\n");
    release();
}

int run(const std::string& what) {
    small = what == "small";
    filter = small ? "" : what;
    const graft_context_options o{sizeof o, 0, 0, size(int64_t(256) << 20, 1 << 22), 0};
    if (!ok(graft_cuda_api()->context_create(&context, &o), "context")) return 1;
    if (what == "choose") {
        choose_kernels();
    } else {
        if (!small) {
            limits();
            std::printf("name,median_us,p20_us,p80_us,rate,unit,share_of_limit\n");
        }
        for (const auto& part : {products, memory_bound, optimizers, attentions, generation, output_layer}) part();
        std::printf("# %d operations agree with sums in double%s\n", checked, failed ? ", others do not" : "");
    }
    graft_cuda_api()->context_destroy(context);
    return failed || (what != "choose" && checked == 0) ? 1 : 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc > 1 ? argv[1] : ""); }

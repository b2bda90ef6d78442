// Products: the kernels beside cuBLASLt, the layer with an adapter, its low-rank side.
#include <cstdio>

#include "../../csrc/cuda/gemm.cuh"
#include "../../csrc/cuda/lora.cuh"
#include "bench.h"

namespace bench {
namespace {

std::string shape(int64_t t, int64_t in, int64_t out) {
    return "/" + std::to_string(t) + "x" + std::to_string(in) + "x" + std::to_string(out);
}

// C = A B^T (NT, as forward) or A B (NN, as for dx), with a low-rank tail where rank > 0.
struct Product {
    Gemm g;
    Host a, b, a2, b2;
    graft_tensor c;

    Product(Layout layout, int64_t m, int64_t n, int64_t k, int64_t rank) : Product(layout, m, n, k, rank, tensors(layout, m, n, k, rank)) {}
    double value(int64_t row, int64_t col) const {
        const bool nt = g.layout == Layout::NT;
        double sum = 0;
        for (int64_t l = 0; l < g.k; ++l) sum += a(row, l) * (nt ? b(col, l) : b(l, col));
        for (int64_t l = 0; l < g.rank; ++l) sum += a2(row, l) * (nt ? b2(col, l) : b2(l, col));
        return sum;
    }
    void check(Compared& all) const {
        const Host now(c);
        for (int64_t row : some(g.m, 24))
            for (int64_t col : some(g.n, 24)) all.add(now(row, col), value(row, col));
    }

  private:
    static std::vector<graft_tensor> tensors(Layout layout, int64_t m, int64_t n, int64_t k, int64_t rank) {
        const int64_t r = rank > 0 ? rank : 1;
        const bool nt = layout == Layout::NT;
        return {tensor(GRAFT_BF16, m, k), tensor(GRAFT_BF16, nt ? n : k, nt ? k : n, 0.02), tensor(GRAFT_BF16, m, r),
                tensor(GRAFT_BF16, nt ? n : r, nt ? r : n, 0.02), tensor(GRAFT_BF16, m, n)};
    }
    Product(Layout layout, int64_t m, int64_t n, int64_t k, int64_t rank, const std::vector<graft_tensor>& t)
        : a(t[0]), b(t[1]), a2(t[2]), b2(t[3]), c(t[4]) {
        g.layout = layout;
        g.type = g.c_type = GRAFT_BF16;
        g.m = m;
        g.n = g.c_pitch = n;
        g.k = k;
        g.rank = rank;
        g.a = {t[0].data, cols(t[0])};
        g.b = {t[1].data, cols(t[1])};
        g.a2 = {t[2].data, cols(t[2])};
        g.b2 = {t[3].data, cols(t[3])};
        g.c = c.data;
    }
};

// Each kernel that takes the product, and its name.
template <class Use> void each_kernel_of(const Product& p, Use&& use) {
    use("mma", [&] { return gemm_mma(context, p.g, nullptr, 1); });
    if (gemm_wgmma_takes(context, p.g)) use("wgmma", [&] { return gemm_wgmma(context, p.g); });
    bool taken = false;
    const auto library = [&] { return gemm_cublaslt(context, p.g, Carver(*context), &taken); };
    if (ok(library(), "cublaslt") && taken) use("cublaslt", library);
}

void kernels(Layout layout, int64_t t, int64_t in, int64_t out) {
    const bool nt = layout == Layout::NT;
    const Product p(layout, t, nt ? out : in, nt ? in : out, 0);
    each_kernel_of(p, [&](const char* name, const auto& work) {
        report({std::string("gemm_") + name + (nt ? "" : "_dx") + shape(t, in, out), 0, 2.0 * double(t) * double(in) * double(out), work, kBf16,
                [&](Compared& all) { p.check(all); }});
    });
    release();
}

double narrow(double x) { return double(__bfloat162float(__float2bfloat16_rn(float(x)))); }

// A layer with an adapter, forward and backward: y, dx, dA and dB.
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
    graft_linear_backward_args g{};
    g.dx = tensor(GRAFT_BF16, t, in);
    g.dy = tensor(GRAFT_BF16, t, out);
    g.x = f.x;
    g.w = f.w;
    g.adapters = &p;
    g.num_adapters = 1;
    g.scratch = f.scratch;
    const Host x(f.x), w(f.w.data), a(p.a), b(p.b), dy(g.dy), da(p.da), db(p.db);
    const std::string name = shape(t, in, out) + "+" + std::to_string(rank);
    const double flops = 2.0 * double(t) * double(in) * double(out);
    report({"lora_linear" + name, 0, flops, [&] { return linear(context, &f); }, kBf16, [&](Compared& all) {
                const Host y(f.y);
                for (int64_t row : some(t, 16)) {
                    std::vector<double> s(size_t(rank), 0.0);
                    for (int64_t r = 0; r < rank; ++r) {
                        for (int64_t i = 0; i < in; ++i) s[size_t(r)] += x(row, i) * narrow(a(r, i));
                        s[size_t(r)] = narrow(2 * s[size_t(r)]);
                    }
                    for (int64_t col : some(out, 16)) {
                        double sum = 0;
                        for (int64_t i = 0; i < in; ++i) sum += x(row, i) * w(col, i);
                        for (int64_t r = 0; r < rank; ++r) sum += s[size_t(r)] * narrow(b(col, r));
                        all.add(y(row, col), sum);
                    }
                }
            }});
    // S that the backward pass reads: that of the forward pass.
    if (!ok(linear(context, &f), "linear")) return;
    const Host s(p.xa);
    report({"lora_linear_backward" + name, 0, flops, [&] { return linear_backward(context, &g); }, kBf16, [&](Compared& all) {
                const Host dx(g.dx), da_now(p.da), db_now(p.db);
                auto ds = [&](int64_t row, int64_t r) {
                    double sum = 0;
                    for (int64_t o = 0; o < out; ++o) sum += dy(row, o) * narrow(b(o, r));
                    return narrow(2 * sum);
                };
                for (int64_t row : some(t, 8)) {
                    std::vector<double> d;
                    for (int64_t r = 0; r < rank; ++r) d.push_back(ds(row, r));
                    for (int64_t col : some(in, 16)) {
                        double sum = 0;
                        for (int64_t o = 0; o < out; ++o) sum += dy(row, o) * w(o, col);
                        for (int64_t r = 0; r < rank; ++r) sum += d[size_t(r)] * narrow(a(r, col));
                        all.add(dx(row, col), sum);
                    }
                }
                Compared of_b, of_a;
                for (int64_t o : some(out, 16))
                    for (int64_t r = 0; r < rank; ++r) {
                        double sum = db(o, r);
                        for (int64_t row = 0; row < t; ++row) sum += dy(row, o) * s(row, r);
                        of_b.add(db_now(o, r), sum);
                    }
                std::vector<double> d;
                for (int64_t row = 0; row < t; ++row) d.push_back(ds(row, rank - 1));
                for (int64_t i : some(in, 16)) {
                    double sum = da(rank - 1, i);
                    for (int64_t row = 0; row < t; ++row) sum += d[size_t(row)] * x(row, i);
                    of_a.add(da_now(rank - 1, i), sum);
                }
                if (!(of_b.error() < 1e-3 && of_a.error() < kBf16)) fail("lora_linear_backward: dA or dB differs");
            }});
    release();
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
    auto rows_of = [&](const graft_tensor& result, const Host& left, const Host& right, int64_t depth, bool along, Compared& all) {
        const Host now(result);
        for (int64_t row : some(t, 32))
            for (int64_t r = 0; r < rank; ++r) {
                double sum = 0;
                for (int64_t l = 0; l < depth; ++l) sum += left(row, l) * (along ? right(r, l) : right(l, r));
                all.add(now(row, r), 2 * sum);
            }
    };
    report({"lora_down/" + std::to_string(t) + "x" + std::to_string(in) + "+" + std::to_string(rank), 2.0 * double(t * in), 0,
            [&] { return lora_down(context, down, stack, Carver(*context), &taken); }, kBf16,
            [&](Compared& all) { if (taken) rows_of(s, Host(x), Host(a), in, true, all); }});
    report({"lora_ds_db/" + std::to_string(t) + "x" + std::to_string(out) + "+" + std::to_string(rank), 2.0 * double(t * out), 0,
            [&] { return lora_backward(context, back, stack, Carver(*context), &taken); }, kBf16,
            [&](Compared& all) { if (taken) rows_of(ds, Host(dy), Host(b), out, false, all); }});
    release();
}

struct Sizes {
    int64_t in, out;
};
std::vector<Sizes> sizes() {
    if (small) return {{96, 160}};
    return {{4096, 4096}, {4096, 14336}, {8192, 8192}};
}

}  // namespace

void products() {
    for (const auto& [in, out] : sizes()) {
        const int64_t t = size(8192, 72);
        for (Layout layout : {Layout::NT, Layout::NN}) kernels(layout, t, in, out);
        lora(t, in, out, 16);
        low_rank(t, in, out, 16);
    }
}

// The products of a layer with an adapter, forward and for dx, by each kernel.
void choose_kernels() {
    for (int64_t t : {2048, 8192})
        for (const auto& [in, out] : {Sizes{4096, 4096}, {4096, 14336}, {14336, 4096}, {8192, 8192}})
            for (Layout layout : {Layout::NT, Layout::NN})
                for (int64_t rank : {0, 16, 64}) {
                    const bool nt = layout == Layout::NT;
                    const Product p(layout, t, nt ? out : in, nt ? in : out, rank);
                    std::string best;
                    double least = 0;
                    each_kernel_of(p, [&](const char* name, const auto& work) {
                        Compared all;
                        if (!ok(work(), name)) return;
                        p.check(all);
                        if (!(all.error() <= kBf16)) return fail(std::string(name) + ": wrong product");
                        const double median = measure([&] { ok(work(), name); }, 30).median;
                        if (best.empty() || median < least) least = median, best = name;
                    });
                    std::printf("%s %lld %lld %lld %lld %s\n", nt ? "NT" : "NN", (long long)p.g.m, (long long)p.g.n, (long long)p.g.k,
                                (long long)rank, best == "mma" ? "own" : best.c_str());
                    std::fflush(stdout);
                    release();
                }
}

}  // namespace bench

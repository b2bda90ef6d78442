// Attention, causal, 32 query heads over 8 key heads of 128, forward and backward.
#include "../../csrc/cuda/attention.cuh"
#include "../../csrc/cuda/weight.cuh"
#include "bench.h"

namespace bench {
namespace {

constexpr int64_t kHeads = 32, kKeyHeads = 8, kDim = 128;
constexpr float kScale = 0.088388f;

// The same by the other kernels, where they take it.
void others(const std::string& length, const graft_attention_args& f, double flops, const std::function<void(Compared&)>& compare) {
    const Attention<bf16> p{view<const bf16>(f.q), view<const bf16>(f.k), view<const bf16>(f.v), {}, {}, static_cast<const int32_t*>(f.cu.data),
                            nullptr, int(elements(f.cu)) - 1, int(f.heads), int(f.kv_heads), int(f.dim), int(f.window), 0, f.scale,
                            0.0f, f.causal != 0};
    if (attention_wgmma_takes(context, p))
        report({"attention_wgmma/" + length, 0, flops, [&] { return attention_wgmma(context, p, &f); }, kBf16, compare});
    const std::string name = "attention_cudnn/" + length;
    const char* refused = nullptr;
    auto work = [&] { return attention_cudnn(context, p, &f, &refused); };
    if (!selected(name) || !ok(work(), name)) return;
    if (refused) return note(name + ": " + refused);
    report({name, 0, flops, work, kBf16, compare});
}

void causal(int64_t length) {
    const int64_t t = length <= size(8192, 96) ? size(8192, 96) : length;
    std::vector<int32_t> cu;
    for (int64_t i = 0; i <= t; i += length) cu.push_back(int32_t(i));
    graft_attention_args f{};
    f.o = tensor(GRAFT_BF16, t, kHeads * kDim);
    f.lse = tensor(GRAFT_F32, t, kHeads);
    f.q = tensor(GRAFT_BF16, t, kHeads * kDim);
    f.k = tensor(GRAFT_BF16, t, kKeyHeads * kDim);
    f.v = tensor(GRAFT_BF16, t, kKeyHeads * kDim);
    f.cu = integers(cu);
    f.heads = kHeads;
    f.kv_heads = kKeyHeads;
    f.dim = kDim;
    f.scale = kScale;
    f.causal = 1;
    const Host q(f.q), k(f.k), v(f.v);
    auto dot = [&](const Host& a, int64_t row, int64_t head, const Host& b, int64_t other, int64_t other_head) {
        double sum = 0;
        for (int64_t d = 0; d < kDim; ++d) sum += a(row, head * kDim + d) * b(other, other_head * kDim + d);
        return sum;
    };
    // The weights of the keys that a row sees.
    auto weights = [&](int64_t row, int64_t head) {
        std::vector<double> w;
        double sum = 0;
        for (int64_t j = row / length * length; j <= row; ++j) w.push_back(std::exp(kScale * dot(q, row, head, k, j, head / 4)));
        for (double x : w) sum += x;
        for (double& x : w) x /= sum;
        return w;
    };
    const double flops = 4.0 * double(t) * double(length) / 2 * double(kHeads * kDim);
    auto compare = [&](Compared& all) {
        const Host o(f.o);
        for (int64_t row : some(t, 12)) {
            const int64_t head = row % kHeads;
            const std::vector<double> w = weights(row, head);
            for (int64_t d : some(kDim, 16)) {
                double sum = 0;
                for (size_t j = 0; j < w.size(); ++j) sum += w[j] * v(row / length * length + int64_t(j), head / 4 * kDim + d);
                all.add(o(row, head * kDim + d), sum);
            }
        }
    };
    report({"attention/" + std::to_string(length), 0, flops, [&] { return attention(context, &f); }, kBf16, compare});
    others(std::to_string(length), f, flops, compare);
    if (!ok(attention(context, &f), "attention")) return;
    graft_attention_backward_args b{};
    b.dq = tensor(GRAFT_BF16, t, kHeads * kDim);
    b.dk = tensor(GRAFT_BF16, t, kKeyHeads * kDim);
    b.dv = tensor(GRAFT_BF16, t, kKeyHeads * kDim);
    b.d_o = tensor(GRAFT_BF16, t, kHeads * kDim);
    b.o = f.o;
    b.lse = f.lse;
    b.q = f.q;
    b.k = f.k;
    b.v = f.v;
    b.cu = f.cu;
    b.heads = kHeads;
    b.kv_heads = kKeyHeads;
    b.dim = kDim;
    b.scale = f.scale;
    b.causal = 1;
    b.scratch = tensor(GRAFT_U8, 1, 4 * t * kHeads);
    report({"attention_backward/" + std::to_string(length), 0, 2.5 * flops, [&] { return attention_backward(context, &b); }, 2 * kBf16,
            [&](Compared& all) {
                const Host dy(b.d_o), o(f.o), lse(f.lse), dq(b.dq), dk(b.dk), dv(b.dv);
                for (int64_t row : some(t, 6)) {
                    const int64_t head = row % kHeads, first = row / length * length;
                    const std::vector<double> w = weights(row, head);
                    const double delta = dot(dy, row, head, o, row, head);
                    std::vector<double> sum(size_t(kDim), 0.0);
                    for (size_t j = 0; j < w.size(); ++j) {
                        const double ds = kScale * w[j] * (dot(dy, row, head, v, first + int64_t(j), head / 4) - delta);
                        for (int64_t d = 0; d < kDim; ++d) sum[size_t(d)] += ds * k(first + int64_t(j), head / 4 * kDim + d);
                    }
                    for (int64_t d = 0; d < kDim; ++d) all.add(dq(row, head * kDim + d), sum[size_t(d)]);
                }
                Compared of_keys;
                for (int64_t key : some(t, 4)) {
                    const int64_t of = key % kKeyHeads, last = (key / length + 1) * length;
                    std::vector<double> sum_k(size_t(kDim), 0.0), sum_v(size_t(kDim), 0.0);
                    for (int64_t row = key; row < last; ++row)
                        for (int64_t head = of * 4; head < of * 4 + 4; ++head) {
                            const double w = std::exp(kScale * dot(q, row, head, k, key, of) - lse(row, head));
                            const double ds = kScale * w * (dot(dy, row, head, v, key, of) - dot(dy, row, head, o, row, head));
                            for (int64_t d = 0; d < kDim; ++d) {
                                sum_k[size_t(d)] += ds * q(row, head * kDim + d);
                                sum_v[size_t(d)] += w * dy(row, head * kDim + d);
                            }
                        }
                    for (int64_t d = 0; d < kDim; ++d) {
                        of_keys.add(dk(key, of * kDim + d), sum_k[size_t(d)]);
                        of_keys.add(dv(key, of * kDim + d), sum_v[size_t(d)]);
                    }
                }
                if (!(of_keys.error() < 2 * kBf16)) fail("attention_backward: dk or dv differs by " + std::to_string(of_keys.error()));
            }});
    release();
}

// Generation: one query a sequence over a cache.
void decode(int64_t tokens, int64_t cached) {
    std::vector<int32_t> cu{0}, keys;
    for (int32_t i = 0; i < tokens; ++i) {
        cu.push_back(i + 1);
        keys.push_back(int32_t(i * cached));
        keys.push_back(int32_t(cached));
    }
    graft_attention_args a{};
    a.o = tensor(GRAFT_BF16, tokens, kHeads * kDim);
    a.lse = tensor(GRAFT_F32, tokens, kHeads);
    a.q = tensor(GRAFT_BF16, tokens, kHeads * kDim);
    a.k = tensor(GRAFT_BF16, tokens * cached, kKeyHeads * kDim);
    a.v = tensor(GRAFT_BF16, tokens * cached, kKeyHeads * kDim);
    a.cu = integers(cu);
    a.keys = integers(keys);
    a.keys.rank = 2;
    a.keys.shape[0] = tokens;
    a.keys.shape[1] = a.keys.pitch = 2;
    a.heads = kHeads;
    a.kv_heads = kKeyHeads;
    a.dim = kDim;
    a.scale = kScale;
    a.causal = 1;
    report({"attention_decode/" + std::to_string(tokens) + "x" + std::to_string(cached), 4.0 * double(tokens * cached * kKeyHeads * kDim), 0,
            [&] { return attention(context, &a); }, kBf16, [&](Compared& all) {
                const Host q(a.q), k(a.k), v(a.v), o(a.o);
                for (int64_t row : some(tokens, 2)) {
                    const int64_t head = 5;
                    std::vector<double> sum(size_t(kDim), 0.0);
                    double whole = 0;
                    for (int64_t j = row * cached; j < (row + 1) * cached; ++j) {
                        double z = 0;
                        for (int64_t d = 0; d < kDim; ++d) z += q(row, head * kDim + d) * k(j, head / 4 * kDim + d);
                        const double w = std::exp(kScale * z);
                        whole += w;
                        for (int64_t d = 0; d < kDim; ++d) sum[size_t(d)] += w * v(j, head / 4 * kDim + d);
                    }
                    for (int64_t d = 0; d < kDim; ++d) all.add(o(row, head * kDim + d), sum[size_t(d)] / whole);
                }
            }});
    release();
}

}  // namespace

void attentions() {
    if (small) return causal(48);
    for (int64_t length : {2048, 4096, 8192, 16384}) causal(length);
}

// A step of generation: attention over a cache, and a product with few tokens.
void generation() {
    for (int64_t tokens : {1, 8}) {
        decode(tokens, size(4096, 130));
        const int64_t h = size(4096, 256), wide = size(14336, 96);
        graft_linear_args f{};
        f.y = tensor(GRAFT_BF16, tokens, wide);
        f.x = tensor(GRAFT_BF16, tokens, h);
        f.w.out = wide;
        f.w.in = h;
        f.w.data = tensor(GRAFT_U8, wide, h / 2);
        f.w.absmax = tensor(GRAFT_F32, 1, wide * h / 64, 0.02);
        const graft_tensor dense = tensor(GRAFT_BF16, wide, h);  // the same weights in bf16
        report({"nf4_rows/" + std::to_string(tokens) + "x" + std::to_string(h) + "x" + std::to_string(wide), 0.5625 * double(wide * h), 0,
                [&] { return linear(context, &f); }, kBf16, [&](Compared& all) {
                    if (!ok(materialise(f.w, 0, wide, 0, h, dense.data, h, GRAFT_BF16, context->stream), "nf4")) return;
                    const Host x(f.x), y(f.y), values(dense);
                    for (int64_t row : some(tokens, 4))
                        for (int64_t o : some(wide, 32)) {
                            double sum = 0;
                            for (int64_t i = 0; i < h; ++i) sum += x(row, i) * values(o, i);
                            all.add(y(row, o), sum);
                        }
                }});
        release();
    }
}

}  // namespace bench

// attention against plain loops in double precision, forward and backward.
#include <array>

#include "test.h"

namespace graft::test {
namespace {

struct Case {
    const char* name;
    int64_t heads, kv_heads, dim;
    std::vector<int> lengths;
    int64_t prefix;
    bool causal;
    int64_t window;
    double soft_cap;
};

struct Reference {
    std::vector<double> o, size, lse,  // size: o with the magnitudes of v
        dq, dk, dv, dpk, dpv;
};

// Keys of a sequence: the prefix, then count rows from row first; its query i is at place place + i.
Reference reference(const Case& c, double scale, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& pk,
                    const Tensor& pv, const Tensor* d_o, const std::vector<std::array<int64_t, 4>>& sequences) {
    const int64_t width = c.heads * c.dim, kv = c.kv_heads * c.dim, tokens = q.len() / width;
    Reference r;
    r.o.assign(size_t(q.len()), 0), r.lse.assign(size_t(tokens * c.heads), -HUGE_VAL), r.dq = r.size = r.o;
    r.dk.assign(size_t(k.len()), 0), r.dv = r.dk, r.dpk.assign(size_t(c.prefix * kv), 0), r.dpv = r.dpk;
    for (auto [begin, queries, first, count] : sequences)
        for (int64_t i = 0; i < queries; i++)
            for (int64_t head = 0; head < c.heads; head++) {
                const int64_t g = head / (c.heads / c.kv_heads), t = begin + i, place = count - queries + i;
                std::vector<double> s, slope;
                std::vector<std::pair<bool, int64_t>> rows;
                for (int64_t j = -c.prefix; j < count; j++) {
                    if (j >= 0 && ((c.causal && j > place) || (c.window && j <= place - c.window))) continue;
                    const bool own = j >= 0;
                    const int64_t row = own ? first + j : j + c.prefix;
                    double x = 0;
                    for (int64_t d = 0; d < c.dim; d++)
                        x += q[t * width + head * c.dim + d] * (own ? k : pk)[row * kv + g * c.dim + d];
                    x *= scale;
                    double derivative = scale;
                    if (c.soft_cap > 0) {
                        const double th = std::tanh(x / c.soft_cap);
                        x = c.soft_cap * th, derivative *= 1 - th * th;
                    }
                    s.push_back(x), slope.push_back(derivative), rows.push_back({own, row});
                }
                double top = -HUGE_VAL, total = 0;
                for (double x : s) top = std::max(top, x);
                for (double x : s) total += std::exp(x - top);
                if (s.empty()) continue;
                r.lse[size_t(t * c.heads + head)] = top + std::log(total);
                for (size_t n = 0; n < s.size(); n++)
                    for (int64_t d = 0; d < c.dim; d++) {
                        const double x = (rows[n].first ? v : pv)[rows[n].second * kv + g * c.dim + d];
                        r.o[size_t(t * width + head * c.dim + d)] += std::exp(s[n] - top) / total * x;
                        r.size[size_t(t * width + head * c.dim + d)] += std::exp(s[n] - top) / total * std::fabs(x);
                    }
                if (!d_o) continue;
                double delta = 0;
                for (int64_t d = 0; d < c.dim; d++)
                    delta += (*d_o)[t * width + head * c.dim + d] * r.o[size_t(t * width + head * c.dim + d)];
                for (size_t n = 0; n < s.size(); n++) {
                    const auto [own, row] = rows[n];
                    const double p = std::exp(s[n] - top) / total;
                    double dp = 0;
                    for (int64_t d = 0; d < c.dim; d++)
                        dp += (*d_o)[t * width + head * c.dim + d] * (own ? v : pv)[row * kv + g * c.dim + d];
                    const double ds = p * (dp - delta) * slope[n];
                    for (int64_t d = 0; d < c.dim; d++) {
                        const size_t at = size_t(row * kv + g * c.dim + d), me = size_t(t * width + head * c.dim + d);
                        r.dq[me] += ds * (own ? k : pk)[int64_t(at)];
                        (own ? r.dk : r.dpk)[at] += ds * q[int64_t(me)];
                        (own ? r.dv : r.dpv)[at] += p * (*d_o)[int64_t(me)];
                    }
                }
            }
    return r;
}

const Case kCases[] = {
    {"one token", 1, 1, 8, {1}, 0, true, 0, 0},
    {"grouped, packed, empty sequence", 9, 3, 64, {70, 0, 1, 129, 33}, 0, true, 0, 0},
    {"bidirectional", 2, 2, 32, {65, 7}, 0, false, 0, 0},
    {"window", 4, 2, 16, {150, 3}, 0, true, 70, 0},
    {"narrow window, bidirectional", 2, 1, 16, {140}, 0, false, 5, 0},
    {"soft cap", 2, 1, 40, {66}, 0, true, 0, 3},
    {"prefix", 4, 2, 24, {67, 5}, 70, true, 0, 0},
    {"prefix, window, soft cap", 3, 1, 17, {100}, 3, true, 20, 5},
    {"wide heads", 2, 1, 256, {67}, 0, true, 0, 0},
    {"one large group", 40, 1, 12, {9}, 2, true, 0, 0},
};

// Weights are rounded to bf16 (by 2^-8 at most) before they meet v; f32 sums some hundred products.
std::vector<double> slack_of(const Reference& r, graft_dtype type) {
    std::vector<double> slack;
    for (double x : r.size) slack.push_back(type == GRAFT_BF16 ? x / 256 + 1e-5 : 4e-6);
    return slack;
}

class Attention : public testing::TestWithParam<graft_dtype> {};

TEST_P(Attention, ForwardAndBackward) {
    const graft_dtype type = GetParam();
    for (const Case& c : kCases) {
        SCOPED_TRACE(c.name);
        std::vector<std::array<int64_t, 4>> sequences;
        std::vector<double> cu = {0};
        for (int n : c.lengths) {
            sequences.push_back({int64_t(cu.back()), n, int64_t(cu.back()), n});
            cu.push_back(cu.back() + n);
        }
        const int64_t tokens = int64_t(cu.back()), width = c.heads * c.dim, kv = c.kv_heads * c.dim;
        Tensor q = Tensor(type, {tokens, width}).normal(1), k = Tensor(type, {tokens, kv}).normal(2),
               v = Tensor(type, {tokens, kv}).normal(3), d_o = Tensor(type, {tokens, width}).normal(4), pk, pv;
        if (c.prefix) pk = Tensor(type, {c.prefix, kv}).normal(5), pv = Tensor(type, {c.prefix, kv}).normal(6);
        const Tensor boundaries = Tensor(GRAFT_I32, {int64_t(cu.size())}).values(cu);
        const double scale = 1 / std::sqrt(double(c.dim));
        const Reference want = reference(c, scale, q, k, v, pk, pv, &d_o, sequences);

        std::vector<Tensor> first;
        for (int threads : {1, 2, 3}) {
            const Context context(threads);
            Tensor o(type, {tokens, width}), lse(GRAFT_F32, {tokens, c.heads}), dq = o, dk(type, {tokens, kv}), dv = dk, dpk, dpv;
            if (c.prefix) dpk = dpv = Tensor(GRAFT_F32, {c.prefix, kv}).fill(1);
            graft_attention_args a = {};
            a.o = o, a.lse = lse, a.q = q, a.k = k, a.v = v, a.prefix_k = pk, a.prefix_v = pv, a.cu = boundaries;
            a.heads = c.heads, a.kv_heads = c.kv_heads, a.dim = c.dim, a.window = c.window;
            a.scale = float(scale), a.soft_cap = float(c.soft_cap), a.causal = c.causal;
            expect_ok(graft_cpu_api()->attention(context, &a));
            o.expect(want.o, unit(type), slack_of(want, type), "o");
            lse.expect(want.lse, 2e-6, 4e-6, "lse");

            const int64_t scratch_bytes = 4 * tokens * c.heads * ((c.dim + 15) / 16 * 16 + 1) + 256;
            Tensor scratch(GRAFT_U8, {scratch_bytes});
            graft_attention_backward_args b = {};
            b.dq = dq, b.dk = dk, b.dv = dv, b.dpk = dpk, b.dpv = dpv, b.d_o = d_o, b.o = o, b.lse = lse;
            b.q = q, b.k = k, b.v = v, b.prefix_k = pk, b.prefix_v = pv, b.cu = boundaries;
            b.heads = c.heads, b.kv_heads = c.kv_heads, b.dim = c.dim, b.window = c.window;
            b.scale = a.scale, b.soft_cap = a.soft_cap, b.causal = c.causal, b.scratch = scratch;
            expect_ok(graft_cpu_api()->attention_backward(context, &b));
            // A gradient sums up to a group's queries; o, rounded, enters through delta.
            const double slack = type == GRAFT_BF16 ? 3e-2 : 3e-5;
            dq.expect(want.dq, 2 * unit(type), slack, "dq");
            dk.expect(want.dk, 2 * unit(type), slack * 2, "dk");
            dv.expect(want.dv, 2 * unit(type), slack * 2, "dv");
            if (c.prefix) {
                std::vector<double> wk = want.dpk, wv = want.dpv;
                for (double& x : wk) x += 1;
                for (double& x : wv) x += 1;
                dpk.expect(wk, 2 * unit(type), slack * 2, "dpk");
                dpv.expect(wv, 2 * unit(type), slack * 2, "dpv");
            }
            std::vector<Tensor> now = {o, lse, dq, dk, dv, dpk, dpv};
            if (first.empty()) first = now;
            EXPECT_TRUE(first == now) << threads << " threads give other bits";
        }
    }
}

// A cache: other rows than the queries', the last query at the last key.
TEST_P(Attention, Cache) {
    const graft_dtype type = GetParam();
    const Case c = {"cache", 4, 2, 32, {}, 2, true, 90, 0};
    const std::vector<std::array<int64_t, 4>> sequences = {{0, 1, 100, 100}, {1, 3, 7, 65}, {4, 2, 90, 2}};
    Tensor q = Tensor(type, {6, 128}).normal(1), k = Tensor(type, {200, 64}).normal(2), v = Tensor(type, {200, 64}).normal(3);
    Tensor pk = Tensor(type, {2, 64}).normal(5), pv = Tensor(type, {2, 64}).normal(6);
    Tensor o(type, {6, 128}), lse(GRAFT_F32, {6, 4});
    const Reference want = reference(c, 0.25, q, k, v, pk, pv, nullptr, sequences);
    const Context context(2);
    graft_attention_args a = {};
    a.o = o, a.lse = lse, a.q = q, a.k = k, a.v = v, a.prefix_k = pk, a.prefix_v = pv;
    const Tensor cu = Tensor(GRAFT_I32, {4}).values({0, 1, 4, 6}), keys = Tensor(GRAFT_I32, {3, 2}).values({100, 100, 7, 65, 90, 2});
    a.cu = cu, a.keys = keys, a.heads = 4, a.kv_heads = 2, a.dim = 32, a.window = 90, a.scale = 0.25f, a.causal = 1;
    expect_ok(graft_cpu_api()->attention(context, &a));
    o.expect(want.o, unit(type), slack_of(want, type), "o");
    lse.expect(want.lse, 2e-6, 4e-6, "lse");

    const Tensor outside = Tensor(GRAFT_I32, {3, 2}).values({100, 101, 7, 65, 90, 2});
    a.keys = outside;
    expect_code(graft_cpu_api()->attention(context, &a), GRAFT_INVALID_ARGUMENT, "keys[0]");
}

INSTANTIATE_TEST_SUITE_P(Types, Attention, testing::Values(GRAFT_F32, GRAFT_BF16));

TEST(AttentionErrors, WorkspaceAndBoundaries) {
    const Context small(1, 4096);
    Tensor q = Tensor(GRAFT_F32, {4, 64}).normal(1), o = q, lse(GRAFT_F32, {4, 1}), cu = Tensor(GRAFT_I32, {2}).values({0, 4});
    graft_attention_args a = {};
    a.o = o, a.lse = lse, a.q = q, a.k = q, a.v = q, a.cu = cu, a.heads = a.kv_heads = 1, a.dim = 64, a.scale = 1;
    expect_code(graft_cpu_api()->attention(small, &a), GRAFT_RESOURCE_EXHAUSTED, "workspace");
    cu.values({0, 5});
    expect_code(graft_cpu_api()->attention(small, &a), GRAFT_INVALID_ARGUMENT, "cu");
}

}  // namespace
}  // namespace graft::test

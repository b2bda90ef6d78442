// attention and its gradients, with every feature alone and together.
#include "harness.h"

namespace test {
namespace {

using Values = std::vector<double>;

struct Shape {
    const char* name;
    int32_t type;
    std::vector<int> cu, keys;
    int64_t heads, kv_heads, dim, prefix, window;
    double cap;
    bool causal;
    bool fused = false;  // q, k and v are columns of one matrix, and so are their gradients
};

void check(const Shape& s) {
    const int64_t tokens = s.cu.back(), wide = s.heads * s.dim, narrow = s.kv_heads * s.dim, group = s.heads / s.kv_heads;
    int64_t cached = tokens;
    for (size_t i = 0; i < s.keys.size(); i += 2) cached = std::max(cached, int64_t(s.keys[i] + s.keys[i + 1]));
    const Array q = normal(s.type, tokens, wide, 1), k = normal(s.type, cached, narrow, 2), v = normal(s.type, cached, narrow, 3);
    const Array pk = normal(s.type, s.prefix, narrow, 4), pv = normal(s.type, s.prefix, narrow, 5), dy = normal(s.type, tokens, wide, 6);
    const Array dp_before = normal(GRAFT_F32, s.prefix, narrow, 7);
    const double scale = rounded(GRAFT_F32, 1 / std::sqrt(double(s.dim)));

    Values o(size_t(tokens * wide)), lse(size_t(tokens * s.heads)), dq(size_t(tokens * wide)), dk(size_t(cached * narrow)), dv = dk;
    Values dpk = dp_before.values, dpv = dp_before.values;
    for (size_t n = 0; n + 1 < s.cu.size(); ++n)
        for (int64_t t = s.cu[n]; t < s.cu[n + 1]; ++t)
            for (int64_t h = 0; h < s.heads; ++h) {
                const int64_t start = s.keys.empty() ? s.cu[n] : s.keys[2 * n], count = s.keys.empty() ? s.cu[n + 1] - s.cu[n] : s.keys[2 * n + 1];
                const int64_t place = count - (s.cu[n + 1] - t), kv = h / group;
                struct Seen { const Array *k, *v; int64_t row; Values *dk, *dv; };
                std::vector<Seen> seen;
                for (int64_t j = 0; j < s.prefix; ++j) seen.push_back({&pk, &pv, j, &dpk, &dpv});
                for (int64_t j = 0; j < count; ++j)
                    if ((!s.causal || j <= place) && (s.window == 0 || j > place - s.window)) seen.push_back({&k, &v, start + j, &dk, &dv});
                Values z, slope;
                double top = -INFINITY, sum = 0;
                for (const Seen& e : seen) {
                    double dot = 0;
                    for (int64_t d = 0; d < s.dim; ++d) dot += q.at(t, h * s.dim + d) * e.k->at(e.row, kv * s.dim + d);
                    const double tanh = s.cap > 0 ? std::tanh(scale * dot / s.cap) : 0;
                    z.push_back(s.cap > 0 ? s.cap * tanh : scale * dot);
                    slope.push_back(s.cap > 0 ? scale * (1 - tanh * tanh) : scale);
                    top = std::max(top, z.back());
                }
                for (double x : z) sum += std::exp(x - top);
                lse[size_t(t * s.heads + h)] = top + std::log(sum);
                double delta = 0;
                for (int64_t d = 0; d < s.dim; ++d) {
                    double out = 0;
                    for (size_t i = 0; i < seen.size(); ++i) out += std::exp(z[i] - top) / sum * seen[i].v->at(seen[i].row, kv * s.dim + d);
                    o[size_t(t * wide + h * s.dim + d)] = out;
                    delta += out * dy.at(t, h * s.dim + d);
                }
                for (size_t i = 0; i < seen.size(); ++i) {
                    const double p = std::exp(z[i] - top) / sum;
                    double dp = 0;
                    for (int64_t d = 0; d < s.dim; ++d) dp += dy.at(t, h * s.dim + d) * seen[i].v->at(seen[i].row, kv * s.dim + d);
                    const double ds = p * (dp - delta) * slope[i];
                    for (int64_t d = 0; d < s.dim; ++d) {
                        const size_t at = size_t(seen[i].row * narrow + kv * s.dim + d);
                        dq[size_t(t * wide + h * s.dim + d)] += ds * seen[i].k->at(seen[i].row, kv * s.dim + d);
                        (*seen[i].dk)[at] += ds * q.at(t, h * s.dim + d);
                        (*seen[i].dv)[at] += p * dy.at(t, h * s.dim + d);
                    }
                }
            }
    auto forward = [=](Run& r) {
        graft_attention_args a{};
        a.o = r.tensor(s.type, tokens, wide);
        a.lse = r.tensor(GRAFT_F32, tokens, s.heads, kFlat);
        if (s.fused) r.beside(s.type, tokens, {{&a.q, wide}, {&a.k, narrow}, {&a.v, narrow}});
        else a.q = r.tensor(s.type, tokens, wide), a.k = r.tensor(s.type, cached, narrow), a.v = r.tensor(s.type, cached, narrow);
        r.fill(a.q, q);
        r.fill(a.k, k);
        r.fill(a.v, v);
        if (s.prefix) {
            a.prefix_k = r.put(pk);
            a.prefix_v = r.put(pv);
        }
        a.cu = r.put(integers(s.cu));
        if (!s.keys.empty()) a.keys = r.put(integers(s.keys));
        a.heads = s.heads;
        a.kv_heads = s.kv_heads;
        a.dim = s.dim;
        a.window = s.window;
        a.scale = float(scale);
        a.soft_cap = float(s.cap);
        a.causal = s.causal;
        r.check(api().attention(r.context(), &a));
        return a;
    };
    const std::string label = std::string(s.name) + (s.type == GRAFT_BF16 ? " bf16" : " f32");
    const double tolerance = s.type == GRAFT_BF16 ? 1.0 / 64 : 1e-5;
    Values reference = o;
    reference.insert(reference.end(), lse.begin(), lse.end());
    run_case({"attention " + label, tolerance, reference, [=](Run& r, Values* out) {
                  const graft_attention_args a = forward(r);
                  r.get(a.o, out);
                  r.get(a.lse, out);
              }});
    if (!s.keys.empty()) return;
    reference = dq;
    for (const Values* part : {&dk, &dv}) reference.insert(reference.end(), part->begin(), part->end());
    if (s.prefix)
        for (const Values* part : {&dpk, &dpv}) reference.insert(reference.end(), part->begin(), part->end());
    run_case({"attention_backward " + label, tolerance, reference, [=](Run& r, Values* out) {
                  const graft_attention_args f = forward(r);
                  graft_attention_backward_args a{};
                  if (s.fused) r.beside(s.type, tokens, {{&a.dq, wide}, {&a.dk, narrow}, {&a.dv, narrow}});
                  else a.dq = r.tensor(s.type, tokens, wide), a.dk = r.tensor(s.type, tokens, narrow), a.dv = r.tensor(s.type, tokens, narrow);
                  if (s.prefix) {
                      a.dpk = r.put(dp_before);
                      a.dpv = r.put(dp_before);
                  }
                  a.d_o = r.put(dy);
                  a.o = f.o;
                  a.lse = f.lse;
                  a.q = f.q;
                  a.k = f.k;
                  a.v = f.v;
                  a.prefix_k = f.prefix_k;
                  a.prefix_v = f.prefix_v;
                  a.cu = f.cu;
                  a.heads = s.heads;
                  a.kv_heads = s.kv_heads;
                  a.dim = s.dim;
                  a.window = s.window;
                  a.scale = f.scale;
                  a.soft_cap = f.soft_cap;
                  a.causal = s.causal;
                  a.scratch = r.tensor(GRAFT_U8, 1, 4 * tokens * s.heads);
                  r.check(api().attention_backward(r.context(), &a));
                  for (const graft_tensor& t : {a.dq, a.dk, a.dv}) r.get(t, out);
                  if (s.prefix)
                      for (const graft_tensor& t : {a.dpk, a.dpv}) r.get(t, out);
              }});
}

}  // namespace

void attention_cases() {
    for (int32_t type : {GRAFT_F32, GRAFT_BF16}) {
        check({"causal, packed", type, {0, 5, 5, 38, 70}, {}, 2, 2, 16, 0, 0, 0, true});
        check({"both ways, one token", type, {0, 1, 20}, {}, 2, 1, 24, 0, 0, 0, false});
        check({"grouped, window, prefix, cap", type, {0, 40, 53}, {}, 4, 2, 8, 35, 6, 3.0, true});
        check({"window, three tiles", type, {0, 130}, {}, 2, 1, 16, 0, 2, 0, true});
        check({"cache", type, {0, 1, 4}, {3, 40, 50, 3}, 2, 1, 32, 0, 0, 0, true});
        check({"dim 128, window, empty sequences", type, {0, 0, 33, 33, 70}, {}, 4, 2, 128, 0, 9, 0, true});
        check({"dim 128, three blocks, cap", type, {0, 20, 290}, {}, 2, 1, 128, 0, 0, 5.0, true});
        check({"dim 64, both ways, window", type, {0, 3, 37}, {}, 4, 1, 64, 0, 5, 0, false});
        check({"dim 96", type, {0, 50}, {}, 1, 1, 96, 0, 0, 0, true});
        check({"long cache", type, {0, 1, 2}, {0, 270, 9, 40}, 3, 1, 128, 4, 0, 0, true});
        check({"fused, grouped", type, {0, 40, 53}, {}, 4, 2, 8, 5, 0, 0, true, true});
        check({"fused, dim 20", type, {0, 7, 20}, {}, 3, 1, 20, 0, 0, 0, false, true});  // rows and heads at odd places
        check({"fused, dim 128, three blocks", type, {0, 20, 290}, {}, 2, 1, 128, 0, 0, 0, true, true});
        check({"dim 256", type, {0, 19}, {}, 1, 1, 256, 3, 0, 0, true});
    }
}

}  // namespace test

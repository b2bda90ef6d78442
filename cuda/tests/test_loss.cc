// linear_cross_entropy and sample.
#include "harness.h"

namespace test {
namespace {

using Values = std::vector<double>;

void cross_entropy(int32_t type, int64_t vocab, int64_t h, int64_t chunk, double cap, int64_t workspace, double smoothing = 0, double z_loss = 0) {
    const int64_t tokens = 9;
    const std::vector<int> rows = {1, 3, 4, 8, 1, 4}, targets = {2, 0, int(vocab) - 1, 1, 0, 0};
    const Values weights = {1, 0.5, 1, 2, 0, 0};
    const int64_t n = int64_t(rows.size());
    const Array x = normal(type, tokens, h, 1), w = normal(type, vocab, h, 2), before = normal(GRAFT_F32, vocab, h, 3);
    const double inverse = 0.25;
    Values loss = {10, 20}, dx(size_t(tokens * h)), dw = before.values;
    for (int64_t i = 0; i < n; ++i) {
        Values z, slope;
        double top = -INFINITY, sum = 0, mean = 0;
        int64_t best = 0;
        for (int64_t o = 0; o < vocab; ++o) {
            double dot = 0;
            for (int64_t c = 0; c < h; ++c) dot += x.at(rows[size_t(i)], c) * w.at(o, c);
            const double t = cap > 0 ? std::tanh(dot / cap) : 0;
            z.push_back(cap > 0 ? cap * t : dot);
            slope.push_back(cap > 0 ? 1 - t * t : 1);
            if (z.back() > top) {
                top = z.back();
                best = o;
            }
        }
        for (double v : z) sum += std::exp(v - top), mean += v / double(vocab);
        const int target = targets[size_t(i)];
        const double weight = weights[size_t(i)] * inverse;
        const double lse = std::log(sum) + top, even = smoothing / double(vocab);
        loss[0] += weight * (lse - (1 - smoothing) * z[size_t(target)] - smoothing * mean + z_loss * lse * lse);
        loss[1] += best == target ? weights[size_t(i)] : 0;
        for (int64_t o = 0; o < vocab; ++o) {
            const double q = (o == target ? 1 - smoothing : 0) + even;
            const double d = weight * (std::exp(z[size_t(o)] - lse) * (1 + 2 * z_loss * lse) - q) * slope[size_t(o)];
            for (int64_t c = 0; c < h; ++c) {
                dx[size_t(rows[size_t(i)] * h + c)] += d * w.at(o, c);
                dw[size_t(o * h + c)] += d * x.at(rows[size_t(i)], c);
            }
        }
    }
    for (int part = 0; part < 3; ++part) {
        const char* names[] = {"loss", "dx", "dw"};
        run_case({std::string("linear_cross_entropy ") + (smoothing > 0 ? "smoothed " : "") + names[part] + (type == GRAFT_BF16 ? " bf16 " : " f32 ") + std::to_string(vocab) +
                      (cap > 0 ? " cap" : ""), type == GRAFT_BF16 && part > 0 ? 1.0 / 64 : 3e-6, part == 0 ? loss : part == 1 ? dx : dw,
                  [=](Run& r, Values* out) {
                      graft_linear_cross_entropy_args a{};
                      a.loss = r.put(Array(GRAFT_F32, 1, 2, [](int64_t i) { return i ? 20.0 : 10.0; }));
                      if (part == 1) a.dx = r.tensor(type, tokens, h);
                      if (part == 2) a.dw = r.put(before);
                      a.x = r.put(x);
                      a.w.data = r.put(w);
                      a.w.out = vocab;
                      a.w.in = h;
                      a.rows = r.put(integers(rows));
                      a.targets = r.put(integers(targets));
                      a.weights = r.put(Array(GRAFT_F32, 1, n, [&](int64_t i) { return weights[size_t(i)]; }));
                      a.inverse = r.put(Array(GRAFT_F32, 1, 1, [=](int64_t) { return inverse; }));
                      a.soft_cap = float(cap);
                      a.label_smoothing = float(smoothing);
                      a.z_loss = float(z_loss);
                      a.chunk_rows = chunk;
                      a.scratch = r.tensor(GRAFT_U8, 1, 4 * (chunk * (vocab + 2 * h) + h));
                      r.check(api().linear_cross_entropy(r.context(), &a));
                      r.get(part == 0 ? a.loss : part == 1 ? a.dx : a.dw, out);
                  }, workspace});
    }
}

// Which of the tokens are drawn over many rows of the same logits.
void sampling(const char* name, float temperature, int64_t top_k, float top_p, float min_p, const Values& allowed) {
    const int64_t n = 24, vocab = 7;
    const double logits[vocab] = {1, 3, 2.5, 3, -1, 0, 2};
    const Array z(GRAFT_F32, n, vocab, [&](int64_t i) { return logits[i % vocab]; });
    run_case({std::string("sample ") + name, 0, allowed, [=](Run& r, Values* out) {
                  graft_sample_args a{};
                  a.ids = r.tensor(GRAFT_I32, n, 1, kFlat);
                  a.logits = r.put(z);
                  a.seen = r.put(Array(GRAFT_U8, n, vocab, [](int64_t i) { return i % 7 == 1 ? 1.0 : 0.0; }));
                  a.seed = r.put(Array(GRAFT_U32, 1, 4, [](int64_t i) { return double(i + 5); }));
                  a.temperature = temperature;
                  a.top_k = top_k;
                  a.top_p = top_p;
                  a.min_p = min_p;
                  a.repetition_penalty = 2;  // token 1 falls to 1.5
                  a.scratch = r.tensor(GRAFT_U8, 1, 8 * n * vocab);
                  r.check(api().sample(r.context(), &a));
                  Values ids;
                  r.get(a.ids, &ids);
                  for (int64_t token = 0; token < vocab; ++token) {
                      bool drawn = false;
                      for (double id : ids) drawn |= id == double(token);
                      out->push_back(drawn);
                  }
              }});
}

}  // namespace

void loss_cases() {
    for (int32_t type : {GRAFT_F32, GRAFT_BF16}) {
        cross_entropy(type, 300, 24, 4, 0, 1 << 20);
        cross_entropy(type, 37, 5, 6, 4.0, 1 << 20);
        cross_entropy(type, 37, 5, 6, 4.0, 1 << 20, 0.125, 0.03125);
    }
    sampling("greedy", 0, 0, 1, 0, {0, 0, 0, 1, 0, 0, 0});
    sampling("top-k", 1, 2, 1, 0, {0, 0, 1, 1, 0, 0, 0});
    sampling("top-p", 1, 0, 0.5f, 0, {0, 0, 1, 1, 0, 0, 0});
    sampling("min-p", 1, 0, 1, 0.55f, {0, 0, 1, 1, 0, 0, 0});
}

}  // namespace test

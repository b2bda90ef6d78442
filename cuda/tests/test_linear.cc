// linear and its gradients: storage forms, adapters, dropout, gates, both products.
#include <cstdlib>

#include "harness.h"
#include "philox.h"
#include "weight.h"

namespace test {
namespace {

using Values = std::vector<double>;

// The value of each NF4 element, exactly: as it is decoded, and in a product, where x
// is the identity.
void dequantise(int32_t type, bool nested, int64_t out, int64_t in, int64_t gap, int64_t workspace) {
    const Weight w(nested ? Storage::kNestedNF4 : Storage::kNF4, type, out, in);
    Values reference;
    for (int64_t i = 0; i < in; ++i)
        for (int64_t o = 0; o < out; ++o) reference.push_back(w.values[size_t(o * in + i)]);
    const std::string label = std::string(nested ? "nested " : "") + (type == GRAFT_BF16 ? "bf16 " : "f32 ") + std::to_string(out) + "x" +
                              std::to_string(in) + "+" + std::to_string(gap);
    run_case({"nf4_dequantize " + label, 0, w.values, [=](Run& r, Values* result) {
                  const graft_nf4_dequantize_args a{r.tensor(type, out, in, gap ? in + gap : 0), w.put(r)};
                  r.check(api().nf4_dequantize(r.context(), &a));
                  r.get(a.y, result);
              }});
    run_case({"linear decoded " + label, 0, reference,
              [=](Run& r, Values* result) {
                  graft_linear_args a{};
                  a.y = r.tensor(type, in, out);
                  a.x = r.put(Array(type, in, in, [=](int64_t i) { return i / in == i % in ? 1.0 : 0.0; }));
                  a.w = w.put(r);
                  r.check(api().linear(r.context(), &a));
                  r.get(a.y, result);
              }, workspace});
}

// Four layers as a recorded program, launched twice: what is decoded ahead of its
// product is in time, and not too early. The last weight is quantised in the program
// itself, from numbers that four bits hold.
void recorded(const char* order) {
    const int64_t tokens = 5, sizes[] = {64, 96, 64, 128, 64};
    const Array x = normal(GRAFT_F32, tokens, sizes[0], 71);
    std::vector<Weight> layers;
    for (int i = 0; i < 3; ++i) layers.emplace_back(i == 1 ? Storage::kNF4 : Storage::kNestedNF4, GRAFT_F32, sizes[i + 1], sizes[i]);
    const Array last(GRAFT_F32, sizes[4], sizes[3], [](int64_t i) { return double(kCode[(i * 7 + 15) % 16]); });
    Values now = x.values;
    for (int i = 0; i < 4; ++i) {
        const Values& w = i < 3 ? layers[size_t(i)].values : last.values;
        Values next;
        for (int64_t t = 0; t < tokens; ++t)
            for (int64_t o = 0; o < sizes[i + 1]; ++o) {
                double sum = 0;
                for (int64_t k = 0; k < sizes[i]; ++k) sum += now[size_t(t * sizes[i] + k)] * w[size_t(o * sizes[i] + k)];
                next.push_back(sum);
            }
        now = next;
    }
    const Values once = now;
    now.insert(now.end(), once.begin(), once.end());
    run_case({std::string("linear recorded, ") + order, 1e-5, now, [=](Run& r, Values* result) {
                  setenv("GRAFT_SHIM_STREAM", order, 1);  // of the emulation; a card has its own
                  graft_tensor at[5] = {r.put(x)};
                  graft_weight w[4]{};
                  for (int i = 0; i < 3; ++i) w[i] = layers[size_t(i)].put(r);
                  w[3].out = sizes[4];
                  w[3].in = sizes[3];
                  w[3].data = r.tensor(GRAFT_U8, sizes[4], sizes[3] / 2);
                  w[3].absmax = r.tensor(GRAFT_F32, 1, sizes[4] * sizes[3] / 64);
                  const graft_nf4_quantize_args q{w[3].data, w[3].absmax, r.put(last)};
                  for (int i = 1; i < 5; ++i) at[i] = r.tensor(GRAFT_F32, tokens, sizes[i]);
                  void* program = nullptr;
                  r.check(api().capture_begin(r.context()));
                  for (int i = 0; i < 4; ++i) {
                      if (i == 3) r.check(api().nf4_quantize(r.context(), &q));
                      graft_linear_args a{};
                      a.y = at[i + 1];
                      a.x = at[i];
                      a.w = w[i];
                      r.check(api().linear(r.context(), &a));
                  }
                  r.check(api().capture_end(r.context(), &program));
                  for (int i = 0; i < 2 && program; ++i) {
                      r.check(api().graph_launch(r.context(), program));
                      r.get(at[4], result);
                  }
                  api().graph_destroy(r.context(), program);
                  setenv("GRAFT_SHIM_STREAM", "", 1);
              }, 1 << 15});
}

struct Shape {
    int32_t type;
    Storage storage;
    int64_t tokens, in, out;
    std::vector<int64_t> ranks;
    double dropout;
    bool bias, accumulate;
    int64_t workspace;
    bool gated = false;  // the first adapter, and every other one after it
};

void adapters(const Shape& s) {
    const double scale = 0.5, p = s.dropout;
    const std::array<uint32_t, 4> seed = {11, 22, 33, 44};
    const int64_t t = s.tokens, in = s.in, out = s.out;
    const Array x = normal(s.type, t, in, 1), dy = normal(s.type, t, out, 2), bias = normal(s.type, 1, out, 3);
    const Array before = normal(s.type, t, in, 4), dw_before = normal(GRAFT_F32, out, in, 5), db_before = normal(GRAFT_F32, 1, out, 6);
    const Weight w(s.storage, s.type, out, in);
    std::vector<Array> as, bs;
    for (size_t i = 0; i < s.ranks.size(); ++i) {
        as.push_back(normal(GRAFT_F32, s.ranks[i], in, unsigned(30 + i), 0.1));
        bs.push_back(normal(GRAFT_F32, out, s.ranks[i], unsigned(40 + i), 0.1));
    }
    const Array gate(GRAFT_F32, 1, t, [](int64_t i) { return i % 5 == 3 ? 0.0 : 1 - 0.25 * double(i % 4); });
    auto gate_of = [&](size_t n, int64_t i) { return s.gated && n % 2 == 0 ? gate.at(0, i) : 1.0; };
    auto kept = [&](int64_t e, size_t site) { return dropped(e, p, uint32_t(site), seed); };
    Values y(size_t(t * out)), dx(size_t(t * in)), dw = dw_before.values, db = db_before.values;
    for (int64_t i = 0; i < t; ++i)
        for (int64_t o = 0; o < out; ++o) {
            double sum = s.bias ? bias.at(0, o) : 0;
            for (int64_t k = 0; k < in; ++k) sum += x.at(i, k) * w.values[size_t(o * in + k)];
            y[size_t(i * out + o)] = sum;
            db[size_t(o)] += dy.at(i, o);
            for (int64_t k = 0; k < in; ++k) {
                dx[size_t(i * in + k)] += dy.at(i, o) * w.values[size_t(o * in + k)];
                dw[size_t(o * in + k)] += dy.at(i, o) * x.at(i, k);
            }
        }
    Values das, dbs;
    for (size_t n = 0; n < s.ranks.size(); ++n) {
        const int64_t r = s.ranks[n];
        Values da(size_t(r * in)), dbn(size_t(out * r));
        for (int64_t i = 0; i < t; ++i)
            for (int64_t j = 0; j < r; ++j) {
                double xa = 0, ds = 0;
                for (int64_t k = 0; k < in; ++k) xa += gate_of(n, i) * scale * x.at(i, k) * kept(i * in + k, n) * rounded(s.type, as[n].at(j, k));
                for (int64_t o = 0; o < out; ++o) {
                    y[size_t(i * out + o)] += rounded(s.type, xa) * rounded(s.type, bs[n].at(o, j));
                    dbn[size_t(o * r + j)] += dy.at(i, o) * rounded(s.type, xa);
                    ds += gate_of(n, i) * scale * dy.at(i, o) * rounded(s.type, bs[n].at(o, j));
                }
                for (int64_t k = 0; k < in; ++k) {
                    da[size_t(j * in + k)] += ds * x.at(i, k) * kept(i * in + k, n);
                    dx[size_t(i * in + k)] += ds * rounded(s.type, as[n].at(j, k)) * kept(i * in + k, n);
                }
            }
        das.insert(das.end(), da.begin(), da.end());
        dbs.insert(dbs.end(), dbn.begin(), dbn.end());
    }
    if (s.accumulate)
        for (size_t i = 0; i < dx.size(); ++i) dx[i] += before.values[i];

    int64_t rank = 0;
    for (int64_t r : s.ranks) rank += r;
    const int64_t scratch = rank ? (8 * (t * rank + rank * (in + out) + (p > 0 ? t * in : 0)) + 255) / 256 * 256 : 0;
    auto lora = [=](Run& r, std::vector<graft_low_rank>* list, bool gradients) {
        const Array words(GRAFT_U32, 1, 4, [=](int64_t i) { return seed[i]; });
        for (size_t n = 0; n < s.ranks.size(); ++n) {
            graft_low_rank l{};
            l.a = r.put(as[n]);
            l.b = r.put(bs[n]);
            l.xa = r.tensor(s.type, t, s.ranks[n]);
            l.scale = float(scale);
            if (p > 0) l.drop = {float(p), uint32_t(p * 4294967296.0), uint32_t(n), r.put(words)};
            if (s.gated && n % 2 == 0) l.gate = r.put(gate);
            if (gradients) {
                l.da = r.put(Array(GRAFT_F32, s.ranks[n], in, [](int64_t) { return 0.0; }));
                l.db = r.put(Array(GRAFT_F32, out, s.ranks[n], [](int64_t) { return 0.0; }));
            }
            list->push_back(l);
        }
    };
    const std::string label = std::string(s.type == GRAFT_BF16 ? " bf16 " : " f32 ") + name(s.storage) + " " + std::to_string(t) +
                              "x" + std::to_string(in) + "x" + std::to_string(out) + "+" + std::to_string(rank) + (p > 0 ? " dropout" : "") + (s.gated ? " gated" : "");
    const double tolerance = s.type == GRAFT_BF16 ? 1.0 / 128 : 3e-6;
    run_case({"linear" + label, tolerance, y, [=](Run& r, Values* result) {
                  std::vector<graft_low_rank> list;
                  lora(r, &list, false);
                  graft_linear_args a{};
                  a.y = r.tensor(s.type, t, out);
                  a.x = r.put(x);
                  a.w = w.put(r);
                  if (s.bias) a.bias = r.put(bias);
                  a.adapters = list.data();
                  a.num_adapters = int64_t(list.size());
                  a.scratch = r.tensor(GRAFT_U8, 1, scratch);
                  r.check(api().linear(r.context(), &a));
                  r.get(a.y, result);
              }, s.workspace});
    // Each gradient on a scale of its own, for they differ in size.
    enum Part { kDX, kDW, kDBias, kDA, kDB };
    const std::pair<Part, Values> parts[] = {{kDX, dx}, {kDW, dw}, {kDBias, db}, {kDA, das}, {kDB, dbs}};
    const char* part_names[] = {"dx", "dw", "dbias", "dA", "dB"};
    for (const auto& [part, reference] : parts) {
        if (reference.empty()) continue;
        const Part wanted = part;
        run_case({std::string("linear_backward ") + part_names[part] + label, tolerance, reference, [=](Run& r, Values* result) {
                      std::vector<graft_low_rank> list;
                      lora(r, &list, true);
                      graft_linear_args f{};
                      f.y = r.tensor(s.type, t, out);
                      f.x = r.put(x);
                      f.w = w.put(r);
                      f.adapters = list.data();
                      f.num_adapters = int64_t(list.size());
                      f.scratch = r.tensor(GRAFT_U8, 1, scratch);
                      r.check(api().linear(r.context(), &f));
                      graft_linear_backward_args a{};
                      if (wanted == kDX) a.dx = s.accumulate ? r.put(before) : r.tensor(s.type, t, in);
                      if (wanted == kDW) a.dw = r.put(dw_before);
                      if (wanted == kDBias) a.dbias = r.put(db_before);
                      a.dy = r.put(dy);
                      a.x = f.x;
                      a.w = f.w;
                      a.adapters = list.data();
                      a.num_adapters = int64_t(list.size());
                      a.scratch = f.scratch;
                      a.accumulate = s.accumulate;
                      r.check(api().linear_backward(r.context(), &a));
                      if (wanted == kDX) r.get(a.dx, result);
                      if (wanted == kDW) r.get(a.dw, result);
                      if (wanted == kDBias) r.get(a.dbias, result);
                      for (const graft_low_rank& l : list) {
                          if (wanted == kDA) r.get(l.da, result);
                          if (wanted == kDB) r.get(l.db, result);
                      }
                  }, s.workspace});
    }
}

}  // namespace

void linear_cases() {
    const int64_t large = 1 << 20;
    for (int32_t type : {GRAFT_F32, GRAFT_BF16})
        for (bool nested : {false, true}) {
            dequantise(type, nested, 70, 64, 0, large);
            dequantise(type, nested, 13, 22, 3, 1024);
            dequantise(type, nested, 5, 128, 16, large);  // rows apart, each of whole packs
            dequantise(type, nested, 5, 128, 7, large);
        }
    adapters({GRAFT_F32, Storage::kDense, 5, 7, 9, {}, 0, true, true, large});
    adapters({GRAFT_F32, Storage::kDense, 33, 70, 21, {3, 4}, 0, true, false, large});
    adapters({GRAFT_F32, Storage::kNestedNF4, 9, 64, 21, {4}, 0.25, false, true, 8192});
    adapters({GRAFT_BF16, Storage::kDense, 1, 40, 24, {}, 0, true, false, large});
    adapters({GRAFT_BF16, Storage::kDense, 77, 136, 131, {8}, 0, false, true, large});     // whole chunks
    adapters({GRAFT_BF16, Storage::kFloat, 19, 37, 29, {3}, 0, true, false, 8192});        // odd rows, pieces
    adapters({GRAFT_BF16, Storage::kNestedNF4, 40, 192, 72, {8, 16}, 0.5, false, true, 16384});
    adapters({GRAFT_BF16, Storage::kDense, 1100, 16, 24, {8}, 0, false, false, large});    // split sums, blocks of rows
    adapters({GRAFT_BF16, Storage::kDense, 40, 24, 530, {8, 16}, 0, false, true, large});  // stacked, blocks of columns
    adapters({GRAFT_BF16, Storage::kDense, 520, 200, 136, {8}, 0, false, true, large});    // dx in wide tiles of several boxes
    adapters({GRAFT_BF16, Storage::kDense, 70, 136, 328, {8, 16}, 0, false, true, large}); // and in more tiles than stages
    adapters({GRAFT_BF16, Storage::kNestedNF4, 3, 320, 37, {5}, 0, true, false, large});   // few tokens
    adapters({GRAFT_F32, Storage::kNF4, 6, 128, 9, {}, 0, true, false, large});
    adapters({GRAFT_F32, Storage::kDense, 33, 70, 21, {3, 4}, 0, true, false, large, true});
    adapters({GRAFT_BF16, Storage::kDense, 70, 40, 72, {8, 16}, 0, false, true, large, true});            // stacked
    adapters({GRAFT_BF16, Storage::kNestedNF4, 13, 64, 24, {4, 8}, 0.5, false, true, 16384, true});      // one after the other
    adapters({GRAFT_BF16, Storage::kNestedNF4, 3, 320, 37, {5}, 0, true, false, large, true});            // few tokens
    for (const char* order : {"late", "early", "random"}) recorded(order);
}

}  // namespace test

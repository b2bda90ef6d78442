// What adapters ask for beside products: dropout, and the lengths and magnitudes of DoRA.
#include "harness.h"
#include "philox.h"
#include "weight.h"

namespace test {
namespace {

using Values = std::vector<double>;

std::string label(const std::string& op, int32_t type, int64_t rows, int64_t cols) {
    return op + (type == GRAFT_BF16 ? " bf16 " : " f32 ") + std::to_string(rows) + "x" + std::to_string(cols);
}
double tolerance(int32_t type) { return type == GRAFT_BF16 ? 1.0 / 128 : 2e-6; }

// Elements count within the rows of x, whatever lies between these.
void dropouts(int32_t type, int64_t rows, int64_t cols, double p) {
    const std::array<uint32_t, 4> seed = {11, 22, 33, 44};
    const uint32_t site = 5;
    const Array x = normal(type, rows, cols, 1), before = normal(type, rows, cols, 2);
    for (bool rest : {false, true})
        for (bool accumulate : {false, true}) {
            Values y;
            for (size_t i = 0; i < x.values.size(); ++i) {
                const double kept = dropped(int64_t(i), p, site, seed);
                y.push_back(x.values[i] * (rest ? 1 - kept : kept) + (accumulate ? before.values[i] : 0));
            }
            const std::string name = std::string(rest ? "dropout's rest" : "dropout") + (accumulate ? " added" : "") + (p > 0 ? "" : " of none");
            run_case({label(name, type, rows, cols), tolerance(type), y, [=](Run& r, Values* out) {
                          graft_dropout_args a{};
                          a.y = accumulate ? r.put(before) : r.tensor(type, rows, cols);
                          a.x = r.put(x);
                          a.drop = {float(p), uint32_t(p * 4294967296.0), site,
                                    r.put(Array(GRAFT_U32, 1, 4, [=](int64_t i) { return seed[size_t(i)]; }))};
                          a.accumulate = accumulate;
                          a.rest = rest;
                          r.check(api().dropout(r.context(), &a));
                          r.get(a.y, out);
                      }});
        }
}

void weight_norms(Storage storage, int32_t type, int64_t rows, int64_t cols, int64_t rank) {
    const double scale = 0.5;
    const Weight w(storage, type, rows, cols);
    const Array a = normal(GRAFT_F32, rank, cols, 3, 0.3), b = normal(GRAFT_F32, rows, rank, 4, 0.3);
    Values norm;
    for (int64_t o = 0; o < rows; ++o) {
        double squares = 0;
        for (int64_t i = 0; i < cols; ++i) {
            double v = w.values[size_t(o * cols + i)];
            for (int64_t k = 0; k < rank; ++k) v += scale * b.at(o, k) * a.at(k, i);
            squares += v * v;
        }
        norm.push_back(std::sqrt(squares));
    }
    run_case({label(std::string("weight_norm ") + name(storage), type, rows, cols), 2e-6, norm, [=](Run& r, Values* out) {
                  const graft_weight_norm_args args{r.tensor(GRAFT_F32, 1, rows), w.put(r), r.put(a), r.put(b), float(scale)};
                  r.check(api().weight_norm(r.context(), &args));
                  r.get(args.norm, out);
              }});
}

enum Parts { kBare, kResidual, kAll };  // kAll: residual, bias, gate

void magnitudes(int32_t type, int64_t rows, int64_t cols, Parts parts) {
    const Array z = normal(type, rows, cols, 1), residual = normal(type, rows, cols, 2), dy = normal(type, rows, cols, 3), bias = normal(type, 1, cols, 4);
    const Array m(GRAFT_F32, 1, cols, [](int64_t i) { return 1 + 0.125 * double(i % 7); });
    const Array norm(GRAFT_F32, 1, cols, [](int64_t i) { return 0.75 + 0.25 * double(i % 5); });
    const Array gate(GRAFT_F32, 1, rows, [](int64_t i) { return 0.5 * double(i % 3); }), before = normal(GRAFT_F32, 1, cols, 5);
    Values y, dz, dm = before.values;
    for (int64_t t = 0; t < rows; ++t)
        for (int64_t c = 0; c < cols; ++c) {
            const double g = parts == kAll ? gate.at(0, t) : 1, f = 1 + g * (m.at(0, c) / norm.at(0, c) - 1);
            y.push_back((parts == kBare ? 0 : residual.at(t, c)) + f * z.at(t, c) + (parts == kAll ? bias.at(0, c) : 0));
            dz.push_back(f * dy.at(t, c));
            dm[size_t(c)] += g * dy.at(t, c) * z.at(t, c) / norm.at(0, c);
        }
    const char* names[] = {"", " residual", " residual, bias, gate"};
    for (bool in_place : {false, true})
        run_case({label("magnitude", type, rows, cols) + names[parts] + (in_place ? " in place" : ""), tolerance(type), y, [=](Run& r, Values* out) {
                      graft_magnitude_args a{};
                      a.z = r.put(z);
                      a.m = r.put(m);
                      a.norm = r.put(norm);
                      if (parts != kBare) a.residual = r.put(residual);
                      if (parts == kAll) a.bias = r.put(bias), a.gate = r.put(gate);
                      a.y = !in_place ? r.tensor(type, rows, cols) : parts == kAll ? a.residual : a.z;
                      r.check(api().magnitude(r.context(), &a));
                      r.get(a.y, out);
                  }});
    if (parts == kResidual) return;
    Values all = dz;
    all.insert(all.end(), dm.begin(), dm.end());
    run_case({label("magnitude_backward", type, rows, cols) + (parts == kAll ? " gate" : ""), tolerance(type), all, [=](Run& r, Values* out) {
                  graft_magnitude_backward_args a{};
                  a.dz = r.tensor(type, rows, cols);
                  a.dm = r.put(before);
                  a.dy = r.put(dy);
                  a.z = r.put(z);
                  a.m = r.put(m);
                  a.norm = r.put(norm);
                  if (parts == kAll) a.gate = r.put(gate);
                  r.check(api().magnitude_backward(r.context(), &a));
                  r.get(a.dz, out);
                  r.get(a.dm, out);
              }});
}

}  // namespace

void adapted_cases() {
    for (int32_t type : {GRAFT_F32, GRAFT_BF16}) {
        dropouts(type, 5, 24, 0.25);
        dropouts(type, 7, 301, 0.5);  // rows begin inside the four words of a counter
        dropouts(type, 2, 9, 0);
        weight_norms(Storage::kDense, type, 21, 70, 3);
        for (Parts parts : {kBare, kResidual, kAll}) {
            magnitudes(type, 5, 24, parts);
            magnitudes(type, 130, 37, parts);  // more than two groups of rows
        }
    }
    weight_norms(Storage::kNF4, GRAFT_F32, 6, 320, 5);
    weight_norms(Storage::kNestedNF4, GRAFT_F32, 9, 64, 4);
}

}  // namespace test

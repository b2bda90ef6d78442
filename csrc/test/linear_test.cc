// linear, its backward pass and linear_cross_entropy against plain loops in
// double precision: every storage of the weight, adapters with and without
// dropout, odd sizes, 1 to 3 threads with equal bits.
#include <functional>

#include "../cpu/linear.h"
#include "test.h"

namespace graft::test {
namespace {

using Values = std::vector<double>;
constexpr int64_t kWorkspace = 64 << 20;
const graft_api& table() { return *graft_cpu_api(); }

double round_to(graft_dtype type, double v) {
    return type == GRAFT_BF16 ? double(cpu::widen(cpu::to_bf16(float(v)))) : double(float(v));
}

std::vector<Tensor> run(const std::function<std::vector<Tensor>(graft_context*)>& call) {
    std::vector<Tensor> first;
    for (int threads : {1, 2, 3}) {
        const Context context(threads, kWorkspace);
        std::vector<Tensor> now = call(context);
        if (first.empty()) first = now;
        EXPECT_TRUE(first == now) << threads << " threads give other bits";
    }
    return first;
}

// A sum of products and of their magnitudes, against which its error counts.
struct Sums {
    Values value, magnitude;
    explicit Sums(int64_t n) : value(size_t(n)), magnitude(size_t(n)) {}
    void add(int64_t i, double v) {
        value[size_t(i)] += v;
        magnitude[size_t(i)] += std::fabs(v);
    }
    double largest() const { return *std::max_element(magnitude.begin(), magnitude.end()); }
};
// c[m,n] += alpha * sum of a(i,k) b(k,j).
template <class A, class B> void multiply(Sums& c, int64_t m, int64_t n, int64_t k, double alpha, A a, B b) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t l = 0; l < k; l++) c.add(i * n + j, alpha * a(i, l) * b(l, j));
}

enum class Storage { same, f32, nf4, nf4_double };

struct Layer {
    graft_dtype type;
    int64_t tokens, in, out;
    Tensor x, w, absmax, nested, offset, bias, dy;
    std::vector<double> weight;  // its values
    std::vector<Tensor> a, b, xa;
    std::vector<double> scale, p;
    Tensor seed = Tensor(GRAFT_U32, {4});

    Layer(graft_dtype type, int64_t tokens, int64_t in, int64_t out, Storage storage) : type(type), tokens(tokens), in(in), out(out) {
        x = Tensor(type, {tokens, in}).normal(1);
        dy = Tensor(type, {tokens, out}).normal(2);
        bias = Tensor(GRAFT_F32, {out}).normal(3);
        seed.values({11, 22, 33, 44});
        if (storage == Storage::same || storage == Storage::f32) {
            w = Tensor(storage == Storage::f32 ? GRAFT_F32 : type, {out, in}).normal(4, 0.5);
            for (double v : w.all()) weight.push_back(round_to(type, v));
            return;
        }
        const int64_t blocks = in * out / 64;
        w = Tensor(GRAFT_U8, {out, in / 2});
        std::mt19937 engine(5);
        for (int64_t i = 0; i < w.len(); i++) w.set(i, double(engine() % 256));
        Values scales;
        if (storage == Storage::nf4) {
            absmax = Tensor(GRAFT_F32, {blocks}).normal(6);
            scales = absmax.all();
        } else {
            absmax = Tensor(GRAFT_U8, {blocks});
            nested = Tensor(GRAFT_F32, {(blocks + 255) / 256}).normal(7);
            offset = Tensor(GRAFT_F32, {1}).fill(0.37);
            for (int64_t i = 0; i < blocks; i++) {
                absmax.set(i, double(engine() % 256));
                volatile float product = cpu::kSignedMap.value[int(absmax[i])] * float(nested[i / 256]);
                scales.push_back(double(product + float(offset[0])));
            }
        }
        for (int64_t e = 0; e < in * out; e++) {
            const int pair = int(w[e / 2]), code = e % 2 ? pair & 15 : pair >> 4;
            weight.push_back(round_to(type, double(cpu::kNF4Table[code] * float(scales[size_t(e / 64)]))));
        }
    }
    void adapter(int64_t r, double s, double dropout) {
        a.push_back(Tensor(GRAFT_F32, {r, in}).normal(10 + unsigned(a.size())));
        b.push_back(Tensor(GRAFT_F32, {out, r}).normal(20 + unsigned(b.size())));
        xa.push_back(Tensor(type, {tokens, r}));
        scale.push_back(s);
        p.push_back(dropout);
    }
    graft_weight stored() { return {w, absmax, nested, offset, out, in}; }
    graft_dropout dropout(size_t i) {
        return {float(p[i]), uint32_t(p[i] * 4294967296.0), 7 + uint32_t(i), seed};
    }
    graft_low_rank low_rank(size_t i) { return {a[i], b[i], xa[i], float(scale[i]), dropout(i), {}, {}}; }
    // What drop(x) is, as the library draws it; the mask itself is held to known words below.
    Values dropped(size_t i) {
        if (p[i] == 0) return x.all();
        const Context context(1);
        Tensor y(type, {tokens, in});
        cpu::drop(context, y, x, dropout(i));
        return y.all();
    }
};

using Case = std::tuple<graft_dtype, Storage>;
class LinearTest : public testing::TestWithParam<Case> {
  protected:
    const graft_dtype type = std::get<0>(GetParam());
    const Storage storage = std::get<1>(GetParam());
    const double eps = unit(type);
    const int64_t step = storage == Storage::same || storage == Storage::f32 ? 1 : 64;

    std::vector<Layer> layers() {
        std::vector<Layer> all;
        const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 70}, {8, 2, 33}, {37, 5, 129}, {100, 9, 64}};
        for (const auto& s : sizes)
            for (int kind = 0; kind < 4; kind++) {
                all.emplace_back(type, s[0], s[1] * step, s[2], storage);
                if (kind == 1) all.back().adapter(16, 2, 0);
                if (kind == 2) all.back().adapter(5, 0.5, 0), all.back().adapter(8, 2, 0);
                if (kind == 3) all.back().adapter(4, 1, 0.25), all.back().adapter(3, 1, 0);
            }
        return all;
    }
};
INSTANTIATE_TEST_SUITE_P(Weights, LinearTest,
                         testing::Combine(testing::Values(GRAFT_F32, GRAFT_BF16),
                                          testing::Values(Storage::same, Storage::f32, Storage::nf4, Storage::nf4_double)));

TEST_P(LinearTest, Forward) {
    for (Layer& l : layers()) {
        const int64_t n = l.tokens;
        const auto got = run([&](graft_context* c) {
            Tensor y(type, {n, l.out}), scratch(GRAFT_U8, {n * l.in * 8 + 256});
            std::vector<graft_low_rank> adapters;
            for (size_t i = 0; i < l.a.size(); i++) {
                l.xa[i] = Tensor(type, {n, int64_t(l.xa[i].len() / n)});
                adapters.push_back(l.low_rank(i));
            }
            const graft_linear_args args = {y, l.x, l.stored(), l.bias, adapters.data(), int64_t(adapters.size()), scratch};
            expect_ok(table().linear(c, &args));
            std::vector<Tensor> out = {y};
            for (Tensor& xa : l.xa) out.push_back(xa);
            return out;
        });
        Sums y(n * l.out);
        multiply(y, n, l.out, l.in, 1, [&](int64_t i, int64_t k) { return l.x[i * l.in + k]; },
                 [&](int64_t k, int64_t j) { return l.weight[size_t(j * l.in + k)]; });
        for (int64_t i = 0; i < n * l.out; i++) y.add(i, l.bias[i % l.out]);
        for (size_t q = 0; q < l.a.size(); q++) {
            const int64_t r = l.xa[q].len() / n;
            const Values x = l.dropped(q);
            Sums xa(n * r);
            multiply(xa, n, r, l.in, l.scale[q], [&](int64_t i, int64_t k) { return x[size_t(i * l.in + k)]; },
                     [&](int64_t k, int64_t j) { return round_to(type, l.a[q][j * l.in + k]); });
            got[q + 1].expect(xa.value, eps, 1e-6 * xa.largest(), "xa");
            multiply(y, n, l.out, r, 1, [&](int64_t i, int64_t k) { return got[q + 1][i * r + k]; },
                     [&](int64_t k, int64_t j) { return round_to(type, l.b[q][j * r + k]); });
        }
        got[0].expect(y.value, eps, 1e-6 * y.largest(), "y");
    }
}

TEST_P(LinearTest, Backward) {
    for (Layer& l : layers())
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            const int64_t n = l.tokens;
            for (size_t i = 0; i < l.a.size(); i++) l.xa[i].normal(30 + unsigned(i));
            const auto got = run([&](graft_context* c) {
                Tensor dx(type, {n, l.in}), dw(GRAFT_F32, {l.out, l.in}), dbias(GRAFT_F32, {l.out}), scratch(GRAFT_U8, {n * l.in * 8 + n * 512 + l.out * 64 + 512});
                if (accumulate) dx.normal(40);
                dw.fill(0.5), dbias.fill(0.25);
                std::vector<Tensor> out = {dx, dw, dbias};
                std::vector<graft_low_rank> adapters;
                for (size_t i = 0; i < l.a.size(); i++) {
                    out.push_back(Tensor(GRAFT_F32, {l.a[i].len() / l.in, l.in}).fill(0.125));
                    out.push_back(Tensor(GRAFT_F32, {l.out, l.b[i].len() / l.out}).fill(-0.5));
                }
                for (size_t i = 0; i < l.a.size(); i++) {
                    adapters.push_back(l.low_rank(i));
                    adapters.back().da = out[3 + 2 * i], adapters.back().db = out[4 + 2 * i];
                }
                const graft_linear_backward_args args = {out[0], out[1], out[2], l.dy, l.x, l.stored(),
                    adapters.data(), int64_t(adapters.size()), scratch, accumulate};
                expect_ok(table().linear_backward(c, &args));
                return out;
            });
            Sums dx(n * l.in), dw(l.out * l.in), dbias(l.out);
            const Values old = Tensor(type, {n, l.in}).normal(40).all();
            for (int64_t i = 0; accumulate && i < n * l.in; i++) dx.add(i, old[size_t(i)]);
            multiply(dx, n, l.in, l.out, 1, [&](int64_t i, int64_t k) { return l.dy[i * l.out + k]; },
                     [&](int64_t k, int64_t j) { return l.weight[size_t(k * l.in + j)]; });
            for (int64_t i = 0; i < l.out * l.in; i++) dw.add(i, 0.5);
            multiply(dw, l.out, l.in, n, 1, [&](int64_t i, int64_t k) { return l.dy[k * l.out + i]; },
                     [&](int64_t k, int64_t j) { return l.x[k * l.in + j]; });
            for (int64_t j = 0; j < l.out; j++) dbias.add(j, 0.25);
            for (int64_t i = 0; i < n * l.out; i++) dbias.add(i % l.out, l.dy[i]);
            for (size_t q = 0; q < l.a.size(); q++) {
                const int64_t r = l.a[q].len() / l.in;
                const Values x = l.dropped(q);
                Sums ds(n * r), da(r * l.in), db(l.out * r), part(n * l.in);
                multiply(ds, n, r, l.out, l.scale[q], [&](int64_t i, int64_t k) { return l.dy[i * l.out + k]; },
                         [&](int64_t k, int64_t j) { return round_to(type, l.b[q][k * r + j]); });
                const double ds_error = eps * ds.largest();  // its rounding to the type, a tie the other way
                multiply(part, n, l.in, r, 1, [&](int64_t i, int64_t k) { return round_to(type, ds.value[size_t(i * r + k)]); },
                         [&](int64_t k, int64_t j) { return round_to(type, l.a[q][k * l.in + j]); });
                for (int64_t i = 0; i < n * l.in; i++) {
                    const bool kept = l.p[q] == 0 || x[size_t(i)] != 0;
                    dx.add(i, kept ? part.value[size_t(i)] / (1 - l.p[q]) : 0);
                    dx.magnitude[size_t(i)] += ds_error;
                }
                for (int64_t i = 0; i < r * l.in; i++) da.add(i, 0.125);
                multiply(da, r, l.in, n, 1, [&](int64_t i, int64_t k) { return round_to(type, ds.value[size_t(k * r + i)]); },
                         [&](int64_t k, int64_t j) { return x[size_t(k * l.in + j)]; });
                for (int64_t i = 0; i < l.out * r; i++) db.add(i, -0.5);
                multiply(db, l.out, r, n, 1, [&](int64_t i, int64_t k) { return l.dy[k * l.out + i]; },
                         [&](int64_t k, int64_t j) { return l.xa[q][k * r + j]; });
                got[3 + 2 * q].expect(da.value, 2e-6, (type == GRAFT_BF16 ? 4e-4 : 1e-6) * da.largest(), "dA");
                got[4 + 2 * q].expect(db.value, 2e-6, 1e-6 * db.largest(), "dB");
            }
            const double chained = type == GRAFT_BF16 && !l.a.empty() ? eps : 1e-6;
            got[0].expect(dx.value, 2 * eps, chained * dx.largest(), "dx");
            got[1].expect(dw.value, 2e-6, 1e-6 * dw.largest(), "dW");
            got[2].expect(dbias.value, 2e-6, 1e-6 * dbias.largest(), "dbias");
        }
}

TEST_P(LinearTest, CrossEntropy) {
    for (double cap : {0.0, 3.0})
        for (int64_t vocab : {1, 33, 300}) {
            const int64_t tokens = 20, targets = 11, chunk = 4;
            Layer l(type, tokens, 2 * step, vocab, storage);
            Tensor rows(GRAFT_I32, {targets}), ids(GRAFT_I32, {targets}), weights(GRAFT_F32, {targets}), inverse = Tensor(GRAFT_F32, {1}).fill(0.125);
            for (int64_t i = 0; i < targets; i++) {
                rows.set(i, double(i < 9 ? 19 - 2 * i : 19));  // what fills the bucket repeats a row
                ids.set(i, double(i * 7 % vocab));
                weights.set(i, i < 9 ? 0.5 + double(i % 3) : 0);
            }
            const auto call = [&](bool backward) {
                return run([&](graft_context* c) {
                    Tensor loss = Tensor(GRAFT_F32, {2}).values({1, 2}), dx(type, {tokens, l.in}), dw = Tensor(GRAFT_F32, {vocab, l.in}).fill(0.5);
                    Tensor scratch(GRAFT_U8, {4 * (chunk * (vocab + 2 * l.in + 32) + l.in) + 512});
                    graft_linear_cross_entropy_args args = {loss, dx, dw, l.x, l.stored(), rows, ids, weights, inverse, float(cap), 0, 0, chunk, scratch};
                    if (!backward) args.dx = args.dw = {};
                    expect_ok(table().linear_cross_entropy(c, &args));
                    return std::vector<Tensor>{loss, dx, dw};
                });
            };
            const auto got = call(true);
            EXPECT_TRUE(got[0] == call(false)[0]) << "the loss alone differs";
            Sums dx(tokens * l.in), dw(vocab * l.in);
            for (int64_t i = 0; i < vocab * l.in; i++) dw.add(i, 0.5);
            double loss = 1, correct = 2;
            for (int64_t i = 0; i < 9; i++) {
                const int64_t row = int64_t(rows[i]), target = int64_t(ids[i]);
                Values z, slope;
                for (int64_t v = 0; v < vocab; v++) {
                    double sum = 0;
                    for (int64_t k = 0; k < l.in; k++) sum += l.x[row * l.in + k] * l.weight[size_t(v * l.in + k)];
                    if (cap > 0) sum = cap * std::tanh(sum / cap);
                    z.push_back(sum);
                    slope.push_back(cap > 0 ? 1 - sum * sum / (cap * cap) : 1);
                }
                const double top = *std::max_element(z.begin(), z.end());
                double total = 0;
                for (double v : z) total += std::exp(v - top);
                const double factor = weights[i] * 0.125;
                loss += factor * (top + std::log(total) - z[size_t(target)]);
                correct += z[size_t(target)] == top ? weights[i] : 0;
                for (int64_t v = 0; v < vocab; v++) {
                    const double d = round_to(type, factor * (std::exp(z[size_t(v)] - top) / total - (v == target)) * slope[size_t(v)]);
                    for (int64_t k = 0; k < l.in; k++) {
                        dx.add(row * l.in + k, d * l.weight[size_t(v * l.in + k)]);
                        dw.add(v * l.in + k, d * l.x[row * l.in + k]);
                    }
                }
            }
            got[0].expect({loss, correct}, 1e-5, 0, "loss");
            const double tie = type == GRAFT_BF16 ? eps : 4e-6;  // a gradient of a logit that rounds the other way
            got[1].expect(dx.value, 2 * eps, tie * dx.largest(), "dx");
            got[2].expect(dw.value, 2e-6, tie * dw.largest(), "dW");
        }
}

// Words of Philox4x32-10 by bindings.Philox decide; the rest of the value is x / (1 - p).
TEST(Dropout, KeepsAboutItsShareAndIsAFunctionOfTheElement) {
    Layer l(GRAFT_F32, 50, 37, 1, Storage::same);
    l.adapter(1, 1, 0.25);
    const Values all = l.dropped(0);
    int64_t kept = 0;
    for (size_t i = 0; i < all.size(); i++) {
        if (all[i] == 0) continue;
        kept++;
        EXPECT_NEAR(all[i], l.x[int64_t(i)] / 0.75, 1e-6);
    }
    EXPECT_NEAR(double(kept) / double(all.size()), 0.75, 0.04);  // four standard deviations
    EXPECT_EQ(l.dropped(0), all);
}

TEST(Linear, RefusesWhatItCannotDo) {
    const Context context(1);
    Layer l(GRAFT_F32, 3, 4, 5, Storage::same);
    Tensor y(GRAFT_F32, {3, 6});
    graft_linear_args args = {y, l.x, l.stored(), {}, nullptr, 0, {}};
    expect_code(table().linear(context, &args), GRAFT_INVALID_ARGUMENT, "y");
    const Context small(1, 4096);
    Layer wide(GRAFT_F32, 300, 300, 300, Storage::same);
    Tensor out(GRAFT_F32, {300, 300});
    args = {out, wide.x, wide.stored(), {}, nullptr, 0, {}};
    expect_code(table().linear(small, &args), GRAFT_RESOURCE_EXHAUSTED, "workspace");
    const graft_linear_backward_args back = {{}, out, {}, wide.dy, {}, wide.stored(), nullptr, 0, {}, 0};
    expect_code(table().linear_backward(context, &back), GRAFT_INVALID_ARGUMENT, "x is absent");
}

}  // namespace
}  // namespace graft::test

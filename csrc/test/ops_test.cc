// Every operation but attention and the linear ones, against plain loops in
// double precision: both types, odd widths, one to three threads with equal bits.
#include <functional>
#include <limits>

#include "test.h"

namespace graft::test {
namespace {

const graft_api& api = *graft_cpu_api();
using Values = std::vector<double>;
constexpr int64_t kWidths[] = {1, 7, 16, 63, 65, 129, 576};

// Runs a call with 1, 2 and 3 threads on fresh outputs, which must be equal.
std::vector<Tensor> run(const std::function<std::vector<Tensor>(graft_context*)>& call) {
    std::vector<Tensor> first;
    for (int threads : {1, 2, 3}) {
        const Context context(threads);
        std::vector<Tensor> now = call(context);
        if (first.empty()) first = now;
        EXPECT_TRUE(first == now) << threads << " threads give other bits";
    }
    return first;
}

class Ops : public testing::TestWithParam<graft_dtype> {
  protected:
    const graft_dtype type = GetParam();
    const double eps = unit(type);
};
INSTANTIATE_TEST_SUITE_P(Types, Ops, testing::Values(GRAFT_F32, GRAFT_BF16));

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_P(Ops, ZeroAddAndInPlace) {
    for (int64_t n : {1, 17, 40001}) {
        const Tensor a = Tensor(type, {n}).normal(1), b = Tensor(type, {n}).normal(2);
        const auto out = run([&](graft_context* c) {
            Tensor y(type, {n}), z(type, {n}), self = a;
            const graft_add_args add = {y, a, b}, in_place = {self, self, b};
            const graft_zero_args zero = {z};
            expect_ok(api.add(c, &add));
            expect_ok(api.add(c, &in_place));
            expect_ok(api.zero(c, &zero));
            return std::vector<Tensor>{y, self, z};
        });
        Values want;
        for (int64_t i = 0; i < n; i++) want.push_back(a[i] + b[i]);
        out[0].expect(want, eps, 0, "add");
        out[1].expect(want, eps, 0, "add in place");
        out[2].expect(Values(size_t(n), 0), 0, 0, "zero");
    }
}

TEST_P(Ops, EmbeddingBackwardAndScatter) {
    for (int64_t h : kWidths) {
        const int64_t vocab = 11, n = 130;
        const Tensor table = Tensor(type, {vocab, h}).normal(1), dy = Tensor(type, {n, h}).normal(2);
        Tensor ids(GRAFT_I32, {n}), rows = Tensor(GRAFT_I32, {3}).values({7, 0, 2});
        for (int64_t t = 0; t < n; t++) ids.set(t, double(t * t % vocab));
        const Tensor src = Tensor(type, {3, h}).normal(3), before = Tensor(type, {8, h}).normal(4);
        const auto out = run([&](graft_context* c) {
            Tensor y(type, {n, h}), dtable = Tensor(GRAFT_F32, {vocab, h}).fill(0.5), dst = before;
            const graft_embedding_args a = {y, table, ids};
            const graft_embedding_backward_args b = {dtable, dy, ids};
            const graft_scatter_rows_args s = {dst, src, rows};
            expect_ok(api.embedding(c, &a));
            expect_ok(api.embedding_backward(c, &b));
            expect_ok(api.scatter_rows(c, &s));
            return std::vector<Tensor>{y, dtable, dst};
        });
        Values y, dtable(size_t(vocab * h), 0.5), dst = before.all();
        for (int64_t t = 0; t < n; t++)
            for (int64_t j = 0; j < h; j++) {
                y.push_back(table[int64_t(ids[t]) * h + j]);
                dtable[size_t(int64_t(ids[t]) * h + j)] += dy[t * h + j];
            }
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < h; j++) dst[size_t(int64_t(rows[i]) * h + j)] = src[i * h + j];
        out[0].expect(y, 0, 0, "embedding");
        out[1].expect(dtable, 1e-6, 1e-5, "dtable");
        out[2].expect(dst, 0, 0, "scatter");
        ids.set(5, double(vocab));
        const graft_embedding_args a = {Tensor(type, {n, h}), table, ids};
        expect_code(api.embedding(Context(1), &a), GRAFT_INVALID_ARGUMENT, "ids[5] is 11");
    }
}

TEST_P(Ops, RMSNorm) {
    for (int64_t h : kWidths)
        for (bool unit_offset : {false, true})
            for (bool residual : {false, true})
                for (graft_dtype weights : {type, GRAFT_F32}) {
                    const int64_t n = 37;
                    const double epsilon = double(1e-5f);
                    const Tensor x = Tensor(type, {n, h}).normal(1), r = residual ? Tensor(type, {n, h}).normal(2) : Tensor();
                    const Tensor w = Tensor(weights, {h}).normal(3), dy = Tensor(type, {n, h}).normal(4);
                    const auto out = run([&](graft_context* c) {
                        Tensor y(type, {n, h}), rstd(GRAFT_F32, {n}), sum = residual ? x : Tensor();  // in place on x
                        graft_rms_norm_args a = {y, sum, rstd, residual ? sum : x, r, w, 1e-5f, unit_offset};
                        expect_ok(api.rms_norm(c, &a));
                        Tensor dx(type, {n, h}), more = Tensor(type, {n, h}).fill(1), self = dy, dw = Tensor(GRAFT_F32, {h}).fill(2);
                        graft_rms_norm_backward_args b = {dx, Tensor(), dy, residual ? sum : x, rstd, w, 1e-5f, unit_offset, 0};
                        expect_ok(api.rms_norm_backward(c, &b));
                        b.dx = more, b.accumulate = 1;
                        expect_ok(api.rms_norm_backward(c, &b));
                        b.dx = self, b.dy = self, b.dw = dw, b.accumulate = 0;
                        expect_ok(api.rms_norm_backward(c, &b));
                        EXPECT_TRUE(self == dx);
                        return std::vector<Tensor>{y, rstd, residual ? sum : x, dx, more, dw};
                    });
                    Values y, rstd, sum, dx, more, dw(size_t(h), 2);
                    for (int64_t i = 0; i < n; i++) {
                        double squares = 0, dot = 0;
                        for (int64_t j = 0; j < h; j++) {
                            sum.push_back(x[i * h + j] + (residual ? r[i * h + j] : 0));
                            squares += std::pow(out[2][i * h + j], 2);  // of the sum as it was rounded
                        }
                        const double s = 1 / std::sqrt(squares / double(h) + epsilon);
                        rstd.push_back(s);
                        const auto weight = [&](int64_t j) { return w[j] + (unit_offset ? 1 : 0); };
                        for (int64_t j = 0; j < h; j++) {
                            const double v = out[2][i * h + j];
                            y.push_back(v * s * weight(j));
                            dot += dy[i * h + j] * weight(j) * v * s / double(h);
                            dw[size_t(j)] += dy[i * h + j] * v * s;
                        }
                        for (int64_t j = 0; j < h; j++)
                            dx.push_back(s * (dy[i * h + j] * weight(j) - out[2][i * h + j] * s * dot)), more.push_back(dx.back() + 1);
                    }
                    out[1].expect(rstd, 1e-6, 0, "rstd");
                    out[2].expect(sum, eps, 0, "sum");
                    out[0].expect(y, 2.1 * eps + 2e-6, 1e-6, "y");  // rounded twice
                    out[3].expect(dx, eps + 2e-6, 1e-4, "dx");
                    out[4].expect(more, eps + 2e-6, 1e-4, "dx, added");
                    out[5].expect(dw, 1e-6, double(n) * eps * 0.5 + 1e-5, "dw");
                }
}

TEST_P(Ops, RoPE) {
    const int64_t n = 33, heads = 3;
    for (int64_t head : {8, 64, 80})
        for (int64_t dim : {head, head / 2}) {
            const Tensor x = Tensor(type, {n, heads * head}).normal(1);
            Tensor positions(GRAFT_I32, {n}), freq(GRAFT_F32, {dim / 2});
            for (int64_t t = 0; t < n; t++) positions.set(t, double(t * 977));
            for (int64_t i = 0; i < dim / 2; i++) freq.set(i, std::pow(1e4, -2.0 * double(i) / double(dim)));
            const auto out = run([&](graft_context* c) {
                Tensor table(type, {n, dim}), y(type, {n, heads * head}), self = x;
                const graft_rope_table_args t = {table, positions, freq, 1.25f};
                expect_ok(api.rope_table(c, &t));
                graft_rope_args a = {y, x, table, head, 0};
                expect_ok(api.rope(c, &a));
                a = {self, self, table, head, 1};
                expect_ok(api.rope(c, &a));
                return std::vector<Tensor>{table, y, self};
            });
            Values table, y = x.all(), inverse = y;
            for (int64_t t = 0; t < n; t++) {
                for (int part = 0; part < 2; part++)
                    for (int64_t i = 0; i < dim / 2; i++) {
                        const double angle = double(float(positions[t]) * float(freq[i]));
                        table.push_back(1.25 * (part ? std::sin(angle) : std::cos(angle)));
                    }
                for (int64_t k = 0; k < heads; k++)
                    for (int64_t i = 0; i < dim / 2; i++) {
                        const int64_t at = (t * heads + k) * head + i;
                        const double c = out[0][t * dim + i], s = out[0][t * dim + dim / 2 + i], a = x[at], b = x[at + dim / 2];
                        y[size_t(at)] = a * c - b * s, y[size_t(at + dim / 2)] = b * c + a * s;
                        inverse[size_t(at)] = a * c + b * s, inverse[size_t(at + dim / 2)] = b * c - a * s;
                    }
            }
            out[0].expect(table, eps, 1e-7, "table");
            out[1].expect(y, eps, 1e-6, "y");
            out[2].expect(inverse, eps, 1e-6, "inverse");
        }
}

TEST_P(Ops, SwiGLU) {
    for (int64_t n : {1, 31, 20003}) {
        Tensor gate = Tensor(type, {n}).normal(1, 4), up = Tensor(type, {n}).normal(2);
        const Tensor dy = Tensor(type, {n}).normal(3);
        gate.set(0, -200);  // e^200 overflows on the way
        const auto out = run([&](graft_context* c) {
            Tensor y(type, {n}), dgate = gate, dup = up;
            const graft_swiglu_args a = {y, gate, up};
            expect_ok(api.swiglu(c, &a));
            const graft_swiglu_backward_args b = {dgate, dup, dy, dgate, dup};  // in place
            expect_ok(api.swiglu_backward(c, &b));
            return std::vector<Tensor>{y, dgate, dup};
        });
        Values y, dgate, dup;
        for (int64_t i = 0; i < n; i++) {
            const double s = sigmoid(gate[i]);
            y.push_back(gate[i] * s * up[i]);
            dgate.push_back(dy[i] * up[i] * s * (1 + gate[i] * (1 - s)));
            dup.push_back(dy[i] * gate[i] * s);
        }
        out[0].expect(y, eps + 1e-6, 1e-9, "y");
        out[1].expect(dgate, eps + 1e-6, 2e-6, "dgate");
        out[2].expect(dup, eps + 1e-6, 1e-9, "dup");
    }
}

TEST(Optimizer, GradNormAndAdamW) {
    for (int64_t n : {1, 100, 50001}) {
        const Tensor g = Tensor(GRAFT_F32, {n}).normal(1), p0 = Tensor(GRAFT_F32, {n}).normal(2);
        const Tensor lr = Tensor(GRAFT_F32, {1}).values({1e-3}), loss = Tensor(GRAFT_F32, {2}).values({2, 0});
        const auto out = run([&](graft_context* c) {
            Tensor norm = Tensor(GRAFT_F32, {4}).values({9, 9, 9, 0}), p = p0, m = Tensor(GRAFT_F32, {n}).fill(0), v = m;
            const graft_grad_norm_args a = {norm, g, loss, 1.0f};
            const graft_adamw_args b = {p, m, v, g, norm, lr, 0.9f, 0.999f, 1e-8f, 0.1f, 2.0f};
            for (int step = 0; step < 3; step++) {
                expect_ok(api.grad_norm(c, &a));
                expect_ok(api.adamw(c, &b));
            }
            return std::vector<Tensor>{norm, p, m, v};
        });
        double squares = 0;
        for (int64_t i = 0; i < n; i++) squares += g[i] * g[i];
        const double norm = std::sqrt(squares), clip = std::min(1.0, 1 / (norm + 1e-6)), rate = 2 * lr[0];
        const double b1 = double(0.9f), b2 = double(0.999f), decay = double(0.1f);
        Values p, ms, vs;
        for (int64_t i = 0; i < n; i++) {
            double x = p0[i], m = 0, v = 0;
            for (int t = 1; t <= 3; t++) {
                m = b1 * m + (1 - b1) * g[i] * clip, v = b2 * v + (1 - b2) * std::pow(g[i] * clip, 2);
                x *= 1 - rate * decay;
                x -= rate * (m / (1 - std::pow(b1, t))) / (std::sqrt(v / (1 - std::pow(b2, t))) + double(1e-8f));
            }
            p.push_back(x), ms.push_back(m), vs.push_back(v);
        }
        out[0].expect({norm, clip, 1, 3}, 1e-6, 0, "norm");
        out[1].expect(p, 1e-6, 1e-7, "p");
        out[2].expect(ms, 1e-6, 1e-9, "m");
        out[3].expect(vs, 1e-6, 0, "v");
    }
}

TEST(Optimizer, SkipsStepsThatAreNotFinite) {
    for (bool bad_loss : {false, true}) {
        Tensor g = Tensor(GRAFT_F32, {40000}).fill(1), loss = Tensor(GRAFT_F32, {2}).values({1, 0});
        if (bad_loss) loss.set(0, NAN);
        else g.set(39999, HUGE_VAL);
        Tensor norm = Tensor(GRAFT_F32, {4}).values({0, 0, 0, 5}), p = Tensor(GRAFT_F32, {40000}).normal(3), m = p, v = p;
        const Tensor before = p, lr = Tensor(GRAFT_F32, {1}).fill(1);
        const Context context(2);
        const graft_grad_norm_args a = {norm, g, loss, 0};
        const graft_adamw_args b = {p, m, v, g, norm, lr, 0.9f, 0.99f, 1e-8f, 0, 1};
        expect_ok(api.grad_norm(context, &a));
        expect_ok(api.adamw(context, &b));
        EXPECT_EQ(norm[2], 0);
        EXPECT_EQ(norm[3], 5);
        EXPECT_TRUE(p == before && m == before && v == before);
    }
}

TEST(Sample, GreedyPenaltyAndFilters) {
    const Context context(2);
    const int64_t n = 2000, vocab = 6;
    const Values logits = {1, 3, 2, 3, -1, 0};
    const auto counts = [&](graft_sample_args a) {
        Tensor z(GRAFT_F32, {n, vocab}), ids(GRAFT_I32, {n}), seed(GRAFT_U32, {4}), scratch(GRAFT_U8, {8 * n * vocab + 256});
        Tensor seen = Tensor(GRAFT_U8, {n, vocab}).fill(0);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < vocab; j++) z.set(i * vocab + j, logits[size_t(j)]);
            seen.set(i * vocab + 1, 1);
        }
        seed.values({1, 2, 3, 4});
        a.ids = ids, a.logits = z, a.seed = seed, a.scratch = scratch;
        if (a.repetition_penalty != 1) a.seen = seen;
        expect_ok(api.sample(context, &a));
        Values count(size_t(vocab), 0);
        for (int64_t i = 0; i < n; i++) count.at(size_t(ids[i]))++;
        return count;
    };
    graft_sample_args a = {};
    a.top_p = 1, a.repetition_penalty = 1;
    EXPECT_EQ(counts(a), (Values{0, 2000, 0, 0, 0, 0})) << "greedy: the lowest id wins a tie";
    a.repetition_penalty = 1.5f;
    EXPECT_EQ(counts(a), (Values{0, 0, 0, 2000, 0, 0})) << "penalty";
    a.repetition_penalty = 1, a.temperature = 1;
    double total = 0;
    for (double z : logits) total += std::exp(z);
    Values c = counts(a);
    for (size_t j = 0; j < 6; j++) {
        const double p = std::exp(logits[j]) / total;
        EXPECT_NEAR(c[j], 2000 * p, 5 * std::sqrt(2000 * p * (1 - p)) + 1) << j;
    }
    a.top_k = 1;
    c = counts(a);
    EXPECT_EQ(c[1] + c[3], 2000) << "what equals the last one stays";
    a.top_k = 0, a.top_p = 0.5f;  // 0.38 + 0.38
    c = counts(a);
    EXPECT_EQ(c[1] + c[3], 2000);
    EXPECT_GT(std::min(c[1], c[3]), 0);
    a.top_p = 0.3f;
    EXPECT_EQ(counts(a)[1], 2000);
    a.top_p = 1, a.min_p = 0.3f;  // e^-1 of the most likely stays, e^-2 does not
    c = counts(a);
    EXPECT_EQ(c[0] + c[4] + c[5], 0);
    EXPECT_GT(c[2], 0);
}

TEST(Checks, NameWhatIsWrong) {
    const Context context(1);
    Tensor y(GRAFT_F32, {3}), x = Tensor(GRAFT_F32, {4}).fill(1), ids(GRAFT_I32, {3});
    graft_add_args a = {y, x, x};
    expect_code(api.add(context, &a), GRAFT_INVALID_ARGUMENT, "a has 4 elements, expected 3");
    a = {y, Tensor(), y};
    expect_code(api.add(context, &a), GRAFT_INVALID_ARGUMENT, "a is absent");
    const graft_cast_args c = {y, ids};
    expect_code(api.cast(context, &c), GRAFT_UNIMPLEMENTED, "src is i32");
}

}  // namespace
}  // namespace graft::test

// What is bound by memory: weights in four bits, norms, gates, rotation, the optimizer.
#include "../../csrc/cuda/nf4.cuh"
#include "bench.h"

namespace bench {
namespace {

graft_weight nested(int64_t out, int64_t in) {
    graft_weight w{};
    w.out = out;
    w.in = in;
    w.data = tensor(GRAFT_U8, out, in / 2);
    w.absmax = tensor(GRAFT_U8, 1, out * in / 64);
    w.nested = tensor(GRAFT_F32, 1, (out * in / 64 + 255) / 256, 0.02);
    w.offset = tensor(GRAFT_F32, 1, 1, 0.05);
    return w;
}
const double kValues[16] = {-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                            -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                            0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0};
struct Weights {
    Host codes, absmax, nested, offset;
    int64_t in;
    explicit Weights(const graft_weight& w) : codes(w.data), absmax(w.absmax), nested(w.nested), offset(w.offset), in(w.in) {}
    double operator()(int64_t row, int64_t col) const {
        const int64_t block = (row * in + col) / 64;
        const int pair = codes.byte(row, col / 2);
        const double scale = double(signed_map().at[absmax.byte(0, block)]) * nested(0, block / 256) + offset(0, 0);
        return kValues[col % 2 ? pair & 15 : pair >> 4] * scale;
    }
};

void four_bits(int64_t h, int64_t wide) {
    const std::string name = "/" + std::to_string(wide) + "x" + std::to_string(h);
    const graft_weight w = nested(wide, h);
    const graft_tensor y = tensor(GRAFT_BF16, wide, h);
    const graft_nf4_dequantize_args d{y, w};
    report({"nf4_dequantize" + name, 2.516 * double(wide * h), 0, [&] { return nf4_dequantize(context, &d); },
            1.0 / 256, [&](Compared& all) {
                const Host now(y);
                const Weights value(w);
                for (int64_t row : some(wide, 32))
                    for (int64_t col : some(h, 32)) all.add(now(row, col), value(row, col));
            }});
    const graft_tensor codes = tensor(GRAFT_U8, wide, h / 2), absmax = tensor(GRAFT_F32, 1, wide * h / 64);
    const graft_nf4_quantize_args q{codes, absmax, y};
    report({"nf4_quantize" + name, 2.5625 * double(wide * h), 0, [&] { return nf4_quantize(context, &q); }, 0.16, [&](Compared& all) {
                const Host x(y), c(codes), scale(absmax);  // half of the widest gap of values is the most that is lost
                for (int64_t row : some(wide, 32))
                    for (int64_t col : some(h, 32)) {
                        const int pair = c.byte(row, col / 2);
                        const double s = scale(0, (row * h + col) / 64);
                        all.add(kValues[col % 2 ? pair & 15 : pair >> 4], s > 0 ? x(row, col) / s : 0);
                    }
            }});
    release();
}

void norms(int64_t t, int64_t h) {
    const std::string name = "/" + std::to_string(t) + "x" + std::to_string(h);
    graft_rms_norm_args f{};
    f.x = tensor(GRAFT_BF16, t, h);
    f.residual = tensor(GRAFT_BF16, t, h);
    f.sum = tensor(GRAFT_BF16, t, h);
    f.y = tensor(GRAFT_BF16, t, h);
    f.rstd = tensor(GRAFT_F32, 1, t);
    f.w = tensor(GRAFT_BF16, 1, h);
    f.eps = 1e-5f;
    const Host w(f.w);
    report({"rms_norm_residual" + name, 8 * double(t * h), 0, [&] { return rms_norm(context, &f); }, kBf16, [&](Compared& all) {
                const Host x(f.x), r(f.residual), y(f.y);
                for (int64_t row : some(t, 16)) {
                    double squares = 0;
                    for (int64_t c = 0; c < h; ++c) squares += (x(row, c) + r(row, c)) * (x(row, c) + r(row, c));
                    const double scale = 1 / std::sqrt(squares / double(h) + 1e-5);
                    for (int64_t c : some(h, 64)) all.add(y(row, c), (x(row, c) + r(row, c)) * scale * w(0, c));
                }
            }});
    if (!ok(rms_norm(context, &f), "rms_norm")) return;
    graft_rms_norm_backward_args b{};
    b.dx = f.residual;
    b.dy = f.y;
    b.x = f.sum;
    b.rstd = f.rstd;
    b.w = f.w;
    report({"rms_norm_backward" + name, 6 * double(t * h), 0, [&] { return rms_norm_backward(context, &b); }, kBf16, [&](Compared& all) {
                const Host dx(b.dx), dy(b.dy), x(b.x), rstd(b.rstd);
                for (int64_t row : some(t, 16)) {
                    const double s = rstd(0, row);
                    double dot = 0;
                    for (int64_t c = 0; c < h; ++c) dot += dy(row, c) * w(0, c) * x(row, c);
                    for (int64_t c : some(h, 64)) all.add(dx(row, c), s * (dy(row, c) * w(0, c) - x(row, c) * dot / double(h) * s * s));
                }
            }});
    release();
}

void gates(int64_t t, int64_t wide) {
    const std::string name = "/" + std::to_string(t) + "x" + std::to_string(wide);
    const double bytes = 2 * double(t * wide);
    const graft_tensor g = tensor(GRAFT_BF16, t, wide), u = tensor(GRAFT_BF16, t, wide), dy = tensor(GRAFT_BF16, t, wide);
    const graft_tensor y = tensor(GRAFT_BF16, t, wide), dg = tensor(GRAFT_BF16, t, wide);
    const graft_swiglu_args f{y, g, u};
    const graft_swiglu_backward_args b{dg, y, dy, g, u};
    const Host gate(g), up(u);
    report({"swiglu" + name, 3 * bytes, 0, [&] { return swiglu(context, &f); }, kBf16, [&](Compared& all) {
                const Host now(y);
                for (int64_t row : some(t, 16))
                    for (int64_t c : some(wide, 64)) all.add(now(row, c), gate(row, c) / (1 + std::exp(-gate(row, c))) * up(row, c));
            }});
    report({"swiglu_backward" + name, 5 * bytes, 0, [&] { return swiglu_backward(context, &b); }, kBf16, [&](Compared& all) {
                const Host now_g(dg), now_u(y), d(dy);
                for (int64_t row : some(t, 16))
                    for (int64_t c : some(wide, 64)) {
                        const double s = 1 / (1 + std::exp(-gate(row, c)));
                        all.add(now_u(row, c), d(row, c) * gate(row, c) * s);
                        all.add(now_g(row, c), d(row, c) * up(row, c) * s * (1 + gate(row, c) * (1 - s)));
                    }
            }});
    release();
}

void rotation(int64_t t, int64_t h) {
    const int64_t d = 128;
    const graft_tensor x = tensor(GRAFT_BF16, t, h), y = tensor(GRAFT_BF16, t, h), table = tensor(GRAFT_BF16, t, d);
    const graft_rope_args a{y, x, table, d, 0};
    report({"rope/" + std::to_string(t) + "x" + std::to_string(h), 4 * double(t * h), 0, [&] { return rope(context, &a); }, kBf16,
            [&](Compared& all) {
                const Host from(x), now(y), angle(table);
                for (int64_t row : some(t, 16))
                    for (int64_t c : some(h, 64)) {
                        const int64_t i = c % d, pair = i < d / 2 ? c + d / 2 : c - d / 2;
                        const double cosine = angle(row, i % (d / 2)), sine = angle(row, i % (d / 2) + d / 2);
                        all.add(now(row, c), from(row, c) * cosine + (i < d / 2 ? -1 : 1) * from(row, pair) * sine);
                    }
            }});
    release();
}

}  // namespace

void memory_bound() {
    const int64_t t = size(8192, 40), h = size(4096, 256), wide = size(14336, 384);
    four_bits(h, wide);
    norms(t, h);
    gates(t, wide);
    rotation(t, h);
}

void optimizers() {
    const int64_t n = size(int64_t(64) << 20, 4096);
    const graft_tensor g = tensor(GRAFT_F32, 1, n), norm = floats({1, 1, 1, 10}), lr = floats({1e-3f}), loss = floats({1, 0});
    graft_tensor seed = integers({7, 11, 3, 1});
    seed.dtype = GRAFT_U32;
    const graft_tensor p = tensor(GRAFT_F32, 1, n), m = tensor(GRAFT_F32, 1, n, 0.1);
    const std::string name = "/" + std::to_string(n);
    const Host gradient(g);
    const graft_tensor scratch_norm = floats({0, 0, 0, 0});
    const graft_grad_norm_args f{scratch_norm, g, loss, 1.0f};
    report({"grad_norm" + name, 4 * double(n), 0, [&] { return grad_norm(context, &f); }, kF32, [&](Compared& all) {
                double squares = 0;
                for (int64_t i = 0; i < n; ++i) squares += gradient(0, i) * gradient(0, i);
                const Host now(scratch_norm);
                all.add(now(0, 0), std::sqrt(squares));
            }});
    // One step from there: what the check expects is of the first call.
    auto step = [&](double p0, double m0, double v0, double grad, double decay) {
        const double m1 = 0.9f * m0 + (1 - 0.9f) * grad, v1 = 0.999f * v0 + (1 - 0.999f) * grad * grad;
        const double c1 = 1 - std::pow(double(0.9f), 10), c2 = std::sqrt(1 - std::pow(double(0.999f), 10));
        return p0 * (1 - 1e-3 * decay) - 1e-3 / c1 * m1 / (std::sqrt(v1) / c2 + 1e-8);
    };
    const graft_tensor v = floats(std::vector<float>(size_t(n), 0.5f));
    {
        const Host p0(p), m0(m);
        const graft_adamw_args a{p, m, v, g, norm, lr, 0.9f, 0.999f, 1e-8f, 0.01f, 1.0f};
        report({"adamw" + name, 28 * double(n), 0, [&] { return adamw(context, &a); }, kF32, [&](Compared& all) {
                    const Host now(p);
                    for (int64_t i : some(n, 4096)) all.add(now(0, i), step(p0(0, i), m0(0, i), 0.5, gradient(0, i), 0.01));
                }});
    }
    {
        const graft_tensor narrow = tensor(GRAFT_BF16, 1, n), m2 = tensor(GRAFT_F32, 1, n, 0.1), v2 = floats(std::vector<float>(size_t(n), 0.5f));
        const Host p0(narrow), m0(m2);
        const graft_adamw_bf16_args a{narrow, m2, v2, g, norm, lr, seed, 0.9f, 0.999f, 1e-8f, 0.01f, 1.0f};
        report({"adamw_bf16" + name, 24 * double(n), 0, [&] { return adamw_bf16(context, &a); }, 1.0 / 128, [&](Compared& all) {
                    const Host now(narrow);
                    for (int64_t i : some(n, 4096)) all.add(now(0, i), step(p0(0, i), m0(0, i), 0.5, gradient(0, i), 0.01));
                }});
    }
    graft_adamw8_args e{};
    e.p = tensor(GRAFT_F32, 1, n);
    e.m = tensor(GRAFT_U8, 1, n);
    e.v = tensor(GRAFT_U8, 1, n);
    e.m_scale = floats(std::vector<float>(size_t(n / 256), 0.5f));
    e.v_scale = floats(std::vector<float>(size_t(n / 256), 0.5f));
    e.g = g;
    e.norm = norm;
    e.lr = lr;
    e.beta1 = 0.9f;
    e.beta2 = 0.999f;
    e.eps = 1e-8f;
    e.lr_scale = 1.0f;
    const Host p0(e.p), m0(e.m), v0(e.v);
    report({"adamw8" + name, 16.03 * double(n), 0, [&] { return adamw8(context, &e); }, kF32, [&](Compared& all) {
                const Host now(e.p);
                for (int64_t i : some(n, 4096))
                    all.add(now(0, i), step(p0(0, i), double(signed_map().at[m0.byte(0, i)]) * 0.5, double(unsigned_map().at[v0.byte(0, i)]) * 0.5,
                                            gradient(0, i), 0));
            }});
    release();
}

}  // namespace bench

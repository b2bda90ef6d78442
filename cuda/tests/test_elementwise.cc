// zero, cast, add, gathers and scatters, norms, rope, swiglu, the optimizer.
#include "harness.h"

namespace test {
namespace {

using Values = std::vector<double>;

const char* name(int32_t type) { return type == GRAFT_BF16 ? "bf16" : "f32"; }
double tolerance(int32_t type) { return type == GRAFT_BF16 ? 1.0 / 128 : 2e-6; }
std::string shape(const char* op, int32_t type, int64_t rows, int64_t cols) {
    return std::string(op) + " " + name(type) + " " + std::to_string(rows) + "x" + std::to_string(cols);
}

void simple(int32_t type, int64_t rows, int64_t cols) {
    const Array a = normal(type, rows, cols, 1), b = normal(type, rows, cols, 2);
    Values sum;
    for (size_t i = 0; i < a.values.size(); ++i) sum.push_back(rounded(type, a.values[i] + b.values[i]));
    run_case({shape("add", type, rows, cols), 0, sum, [=](Run& r, Values* out) {
                  const graft_tensor y = r.tensor(type, rows, cols);
                  const graft_add_args args{y, r.put(a), r.put(b)};
                  r.check(api().add(r.context(), &args));
                  r.get(y, out);
              }});
    const int32_t other = type == GRAFT_BF16 ? GRAFT_F32 : GRAFT_BF16;
    Values converted;
    for (double v : a.values) converted.push_back(rounded(other, v));
    run_case({shape("cast from", type, rows, cols), 0, converted, [=](Run& r, Values* out) {
                  const graft_tensor y = r.tensor(other, rows, cols);
                  const graft_cast_args args{y, r.put(a)};
                  r.check(api().cast(r.context(), &args));
                  r.get(y, out);
              }});
    run_case({shape("zero", type, rows, cols), 0, Values(size_t(rows * cols)), [=](Run& r, Values* out) {
                  const graft_tensor y = r.tensor(type, rows, cols);
                  const graft_zero_args args{y};
                  r.check(api().zero(r.context(), &args));
                  r.get(y, out);
              }});
}

void gathers(int32_t type) {
    const int64_t vocab = 11, cols = 37;
    const std::vector<int> ids = {3, 0, 3, 10, 3, 0, 7};
    const int64_t rows = int64_t(ids.size());
    const Array table = normal(GRAFT_F32, vocab, cols, 3), dy = normal(type, rows, cols, 4), before = normal(GRAFT_F32, vocab, cols, 5);
    Values y, d;
    for (int id : ids)
        for (int64_t c = 0; c < cols; ++c) y.push_back(rounded(type, table.at(id, c)));
    run_case({shape("embedding", type, rows, cols), 0, y, [=](Run& r, Values* out) {
                  const graft_tensor t = r.tensor(type, rows, cols);
                  const graft_embedding_args args{t, r.put(table), r.put(integers(ids))};
                  r.check(api().embedding(r.context(), &args));
                  r.get(t, out);
              }});
    // In float32 and in the order of the tokens: exact.
    std::vector<float> sum(before.values.begin(), before.values.end());
    for (int64_t t = 0; t < rows; ++t)
        for (int64_t c = 0; c < cols; ++c) sum[size_t(ids[size_t(t)] * cols + c)] += float(dy.at(t, c));
    run_case({shape("embedding_backward", type, rows, cols), 0, Values(sum.begin(), sum.end()), [=](Run& r, Values* out) {
                  const graft_tensor t = r.put(before);
                  const graft_embedding_backward_args args{t, r.put(dy), r.put(integers(ids))};
                  r.check(api().embedding_backward(r.context(), &args));
                  r.get(t, out);
              }});
    std::vector<int> many(700);  // more than one round of the scan
    for (size_t i = 0; i < many.size(); ++i) many[i] = int(i * i % 5);
    const Array wide = normal(type, 700, 3, 6);
    std::vector<float> totals(15);
    for (int64_t t = 0; t < 700; ++t)
        for (int64_t c = 0; c < 3; ++c) totals[size_t(many[size_t(t)] * 3 + c)] += float(wide.at(t, c));
    run_case({shape("embedding_backward", type, 700, 3), 0, Values(totals.begin(), totals.end()), [=](Run& r, Values* out) {
                  const graft_tensor t = r.put(Array(GRAFT_F32, 5, 3, [](int64_t) { return 0.0; }));
                  const graft_embedding_backward_args args{t, r.put(wide), r.put(integers(many))};
                  r.check(api().embedding_backward(r.context(), &args));
                  r.get(t, out);
              }});
    const std::vector<int> targets = {5, 0, 2};
    const Array from = normal(type, 3, cols, 7), onto = normal(type, 6, cols, 8);
    Values scattered = onto.values;
    for (int64_t i = 0; i < 3; ++i)
        for (int64_t c = 0; c < cols; ++c) scattered[size_t(targets[size_t(i)] * cols + c)] = from.at(i, c);
    run_case({shape("scatter_rows", type, 3, cols), 0, scattered, [=](Run& r, Values* out) {
                  const graft_tensor t = r.put(onto);
                  const graft_scatter_rows_args args{t, r.put(from), r.put(integers(targets))};
                  r.check(api().scatter_rows(r.context(), &args));
                  r.get(t, out);
              }});
}

void norm(int32_t type, int64_t rows, int64_t cols, bool with_residual, bool unit_offset) {
    const Array x = normal(type, rows, cols, 1), residual = normal(type, rows, cols, 2), dy = normal(type, rows, cols, 3);
    const Array w = normal(type, 1, cols, 4), before = normal(type, rows, cols, 5), dw_before = normal(GRAFT_F32, 1, cols, 6);
    const double eps = 1e-5, one = unit_offset ? 1 : 0;
    Values forward, sums, dx, dw = dw_before.values;
    for (int64_t r = 0; r < rows; ++r) {
        Values s;
        double squares = 0, dot = 0;
        for (int64_t c = 0; c < cols; ++c) {
            s.push_back(with_residual ? rounded(type, x.at(r, c) + residual.at(r, c)) : x.at(r, c));
            squares += s.back() * s.back();
            dot += dy.at(r, c) * (w.at(0, c) + one) * s.back();
        }
        const double rstd = 1 / std::sqrt(squares / double(cols) + eps);
        for (int64_t c = 0; c < cols; ++c) {
            const double v = s[size_t(c)];
            forward.push_back(v * rstd * (w.at(0, c) + one));
            dx.push_back(rstd * (dy.at(r, c) * (w.at(0, c) + one) - v * rstd * rstd * dot / double(cols)) + before.at(r, c));
            dw[size_t(c)] += dy.at(r, c) * v * rstd;
        }
        sums.insert(sums.end(), s.begin(), s.end());
    }
    Values all = forward;
    if (with_residual) all.insert(all.end(), sums.begin(), sums.end());
    const std::string suffix = std::string(with_residual ? " residual" : "") + (unit_offset ? " 1+w" : "");
    run_case({shape("rms_norm", type, rows, cols) + suffix, tolerance(type), all, [=](Run& r, Values* out) {
                  graft_rms_norm_args a{};
                  a.y = r.tensor(type, rows, cols);
                  a.rstd = r.tensor(GRAFT_F32, 1, rows);
                  a.x = r.put(x);
                  a.w = r.put(w);
                  a.eps = float(eps);
                  a.unit_offset = unit_offset;
                  if (with_residual) {
                      a.residual = r.put(residual);
                      a.sum = type == GRAFT_BF16 ? r.tensor(type, rows, cols) : a.x;  // in place, and not
                  }
                  r.check(api().rms_norm(r.context(), &a));
                  r.get(a.y, out);
                  if (with_residual) r.get(a.sum, out);
              }});
    if (with_residual) return;
    all = dx;
    all.insert(all.end(), dw.begin(), dw.end());
    run_case({shape("rms_norm_backward", type, rows, cols) + suffix, tolerance(type), all, [=](Run& r, Values* out) {
                  graft_rms_norm_args f{};
                  f.y = r.tensor(type, rows, cols);
                  f.rstd = r.tensor(GRAFT_F32, 1, rows);
                  f.x = r.put(x);
                  f.w = r.put(w);
                  f.eps = float(eps);
                  r.check(api().rms_norm(r.context(), &f));
                  graft_rms_norm_backward_args a{};
                  a.dx = r.put(before);
                  a.dw = r.put(dw_before);
                  a.dy = r.put(dy);
                  a.x = f.x;
                  a.rstd = f.rstd;
                  a.w = f.w;
                  a.unit_offset = unit_offset;
                  a.accumulate = 1;
                  r.check(api().rms_norm_backward(r.context(), &a));
                  r.get(a.dx, out);
                  r.get(a.dw, out);
              }});
}

void rotary(int32_t type, bool inverse) {
    const int64_t rows = 9, heads = 3, head_dim = 10, dim = 6;
    std::vector<int> positions;
    for (int64_t i = 0; i < rows; ++i) positions.push_back(int(i * 37));
    const Array freq(GRAFT_F32, 1, dim / 2, [](int64_t i) { return std::pow(10000.0, -double(i) / 3); });
    const Array x = normal(type, rows, heads * head_dim, 1);
    Values table, rotated = x.values;
    for (int64_t t = 0; t < rows; ++t)
        for (int part = 0; part < 2; ++part)
            for (int64_t i = 0; i < dim / 2; ++i) {
                const float angle = float(positions[size_t(t)]) * float(freq.at(0, i));
                table.push_back(part ? std::sin(double(angle)) * 1.5 : std::cos(double(angle)) * 1.5);
            }
    for (int64_t t = 0; t < rows; ++t)
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < dim / 2; ++i) {
                const double c = rounded(type, table[size_t(t * dim + i)]), sine = rounded(type, table[size_t(t * dim + dim / 2 + i)]);
                const double s = inverse ? -sine : sine;
                const size_t at = size_t((t * heads + h) * head_dim + i);
                rotated[at] = x.values[at] * c - x.values[at + dim / 2] * s;
                rotated[at + dim / 2] = x.values[at + dim / 2] * c + x.values[at] * s;
            }
    Values all = table;
    all.insert(all.end(), rotated.begin(), rotated.end());
    for (bool in_place : {false, true})
        run_case({shape("rope", type, rows, dim) + (inverse ? " inverse" : "") + (in_place ? " in place" : ""), tolerance(type), all,
                  [=](Run& r, Values* out) {
                      const graft_tensor t = r.tensor(type, rows, dim);
                      const graft_rope_table_args a{t, r.put(integers(positions)), r.put(freq), 1.5f};
                      r.check(api().rope_table(r.context(), &a));
                      r.get(t, out);
                      const graft_tensor in = r.put(x), y = in_place ? in : r.tensor(type, rows, heads * head_dim);
                      const graft_rope_args b{y, in, t, head_dim, inverse};
                      r.check(api().rope(r.context(), &b));
                      r.get(y, out);
                  }});
}

void gated(int32_t type, int64_t rows, int64_t cols) {
    const Array gate = normal(type, rows, cols, 1), up = normal(type, rows, cols, 2), dy = normal(type, rows, cols, 3);
    Values y, dg, du;
    for (size_t i = 0; i < gate.values.size(); ++i) {
        const double g = gate.values[i], s = 1 / (1 + std::exp(-g));
        y.push_back(g * s * up.values[i]);
        dg.push_back(dy.values[i] * up.values[i] * s * (1 + g * (1 - s)));
        du.push_back(dy.values[i] * g * s);
    }
    y.insert(y.end(), dg.begin(), dg.end());
    y.insert(y.end(), du.begin(), du.end());
    run_case({shape("swiglu", type, rows, cols), tolerance(type), y, [=](Run& r, Values* out) {
                  const graft_tensor g = r.put(gate), u = r.put(up), t = r.tensor(type, rows, cols);
                  const graft_swiglu_args a{t, g, u};
                  r.check(api().swiglu(r.context(), &a));
                  const graft_swiglu_backward_args b{g, u, r.put(dy), g, u};  // in place
                  r.check(api().swiglu_backward(r.context(), &b));
                  for (const graft_tensor& o : {t, g, u}) r.get(o, out);
              }});
}

void optimizer(int64_t n, double max_norm, bool finite) {
    const Array p = normal(GRAFT_F32, 1, n, 1), m = normal(GRAFT_F32, 1, n, 2, 0.1), g = normal(GRAFT_F32, 1, n, 4);
    const Array v(GRAFT_F32, 1, n, [](int64_t i) { return 0.01 * double(i % 7 + 1); });
    const double lr = rounded(GRAFT_F32, 0.01), b1 = rounded(GRAFT_F32, 0.9), b2 = rounded(GRAFT_F32, 0.999), eps = 1e-8, wd = rounded(GRAFT_F32, 0.1);
    double squares = 0;
    for (double x : g.values) squares += x * x;
    const double length = std::sqrt(squares), clip = max_norm > 0 ? std::min(1.0, max_norm / (length + 1e-6)) : 1, step = finite ? 5 : 4;
    Values all = {length, clip, finite ? 1.0 : 0.0, step}, ms, vs;
    for (int64_t i = 0; i < n; ++i) {
        const double grad = g.at(0, i) * clip, m1 = b1 * m.at(0, i) + (1 - b1) * grad, v1 = b2 * v.at(0, i) + (1 - b2) * grad * grad;
        const double p1 = p.at(0, i) * (1 - lr * wd) - lr / (1 - std::pow(b1, step)) * m1 / (std::sqrt(v1) / std::sqrt(1 - std::pow(b2, step)) + eps);
        all.push_back(finite ? p1 : p.at(0, i));
        ms.push_back(finite ? m1 : m.at(0, i));
        vs.push_back(finite ? v1 : v.at(0, i));
    }
    all.insert(all.end(), ms.begin(), ms.end());
    all.insert(all.end(), vs.begin(), vs.end());
    run_case({"grad_norm, adamw " + std::to_string(n) + (finite ? "" : " skipped"), 2e-6, all, [=](Run& r, Values* out) {
                  const graft_tensor norm = r.put(Array(GRAFT_F32, 1, 4, [](int64_t) { return 4.0; })), gradient = r.put(g);
                  const Array loss(GRAFT_F32, 1, 2, [=](int64_t) { return finite ? 1.0 : INFINITY; });
                  const graft_grad_norm_args a{norm, gradient, r.put(loss), float(max_norm)};
                  r.check(api().grad_norm(r.context(), &a));
                  const graft_tensor pp = r.put(p), mm = r.put(m), vv = r.put(v);
                  const Array rate(GRAFT_F32, 1, 1, [=](int64_t) { return lr / 2; });
                  const graft_adamw_args b{pp, mm, vv, gradient, norm, r.put(rate), float(b1), float(b2), float(eps), float(wd), 2.0f};
                  r.check(api().adamw(r.context(), &b));
                  for (const graft_tensor& o : {norm, pp, mm, vv}) r.get(o, out);
              }});
}

// A value of the dynamic map that is nearest to x: 2^e, or 2^(e+1) without signs, means
// of equal cells of [0.1, 1] times 10^(e-6), and 0 and 1.
double nearest(double x, bool is_signed) {
    double best = std::fabs(x) < std::fabs(x - 1) ? 0 : 1;
    for (int e = 0; e < 7; ++e) {
        const int cells = (is_signed ? 1 : 2) << e;
        for (int k = 0; k < cells; ++k) {
            const double value = (0.1 + 0.9 * (k + 0.5) / cells) * std::pow(10, e - 6);
            for (double v : {value, is_signed ? -value : value})
                if (std::fabs(x - v) < std::fabs(x - best)) best = v;
        }
    }
    return best;
}

// Two steps from a fresh state: the second one shows what was kept of the first.
void optimizer8(int64_t n) {
    const Array p = normal(GRAFT_F32, 1, n, 1), g = normal(GRAFT_F32, 1, n, 4);
    const double lr = rounded(GRAFT_F32, 0.01), b1 = rounded(GRAFT_F32, 0.9), b2 = rounded(GRAFT_F32, 0.999), eps = 1e-8;
    Values at = p.values, m(size_t(n), 0.0), v(size_t(n), 0.0);
    for (int step = 1; step <= 2; ++step)
        for (int64_t first = 0; first < n; first += 256) {
            const int64_t last = std::min(n, first + 256);
            double most_m = 0, most_v = 0;
            for (int64_t i = first; i < last; ++i) {
                double &mi = m[size_t(i)], &vi = v[size_t(i)];
                mi = b1 * mi + (1 - b1) * g.at(0, i);
                vi = b2 * vi + (1 - b2) * g.at(0, i) * g.at(0, i);
                at[size_t(i)] -= lr / (1 - std::pow(b1, step)) * mi / (std::sqrt(vi) / std::sqrt(1 - std::pow(b2, step)) + eps);
                most_m = std::max(most_m, std::fabs(mi));
                most_v = std::max(most_v, vi);
            }
            for (int64_t i = first; i < last; ++i) {
                m[size_t(i)] = nearest(m[size_t(i)] / most_m, true) * most_m;
                v[size_t(i)] = nearest(v[size_t(i)] / most_v, false) * most_v;
            }
        }
    run_case({"adamw8 " + std::to_string(n), 3e-6, at, [=](Run& r, Values* out) {
                  const int64_t blocks = (n + 255) / 256;
                  const graft_tensor pp = r.put(p), gradient = r.put(g);
                  const graft_tensor mm = r.put(Array(GRAFT_U8, 1, n, [](int64_t) { return 127.0; }));  // 0, as is code 0 of v
                  const graft_tensor vv = r.put(Array(GRAFT_U8, 1, n, [](int64_t) { return 0.0; }));
                  const Array zero(GRAFT_F32, 1, blocks, [](int64_t) { return 0.0; }), rate(GRAFT_F32, 1, 1, [=](int64_t) { return lr; });
                  const graft_tensor m_scale = r.put(zero), v_scale = r.put(zero), of_lr = r.put(rate);
                  for (int step = 1; step <= 2; ++step) {
                      const graft_tensor norm = r.put(Array(GRAFT_F32, 1, 4, [=](int64_t i) { return i == 3 ? step : 1.0; }));
                      const graft_adamw8_args a{pp, mm, vv, m_scale, v_scale, gradient, norm, of_lr, float(b1), float(b2), float(eps), 0, 1};
                      r.check(api().adamw8(r.context(), &a));
                  }
                  r.get(pp, out);
              }});
}

// A recorded program gives what the calls give, each time it is launched.
void graph() {
    const Array a = normal(GRAFT_F32, 5, 8, 1);
    Values four;
    for (double v : a.values) four.push_back(rounded(GRAFT_F32, rounded(GRAFT_F32, v + v) + v));
    run_case({"graph", 0, four, [=](Run& r, Values* out) {
                  const graft_tensor y = r.put(a), x = r.put(a);
                  const graft_add_args args{y, y, x};
                  r.check(api().capture_begin(r.context()));
                  r.check(api().add(r.context(), &args));
                  void* graph = nullptr;
                  r.check(api().capture_end(r.context(), &graph));
                  for (int i = 0; i < 2; ++i) r.check(api().graph_launch(r.context(), graph));
                  r.get(y, out);
                  api().graph_destroy(r.context(), graph);
              }});
}

}  // namespace

void elementwise_cases() {
    for (int32_t type : {GRAFT_F32, GRAFT_BF16}) {
        simple(type, 5, 24);
        simple(type, 3, 7);
        gathers(type);
        norm(type, 7, 301, false, false);
        norm(type, 70, 64, true, false);
        norm(type, 70, 64, false, true);
        norm(type, 1, 1, false, false);
        for (bool inverse : {false, true}) rotary(type, inverse);
        gated(type, 3, 40);
        gated(type, 1, 5);
    }
    optimizer(4096, 1.0, true);
    optimizer(37, 0.0, true);
    optimizer(37, 1.0, false);
    optimizer8(700);
    graph();
}

}  // namespace test

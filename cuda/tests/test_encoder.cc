// The operations of encoders and classifiers: activation, layer_norm, pool,
// classification_loss.
#include "harness.h"

namespace test {
namespace {

using Values = std::vector<double>;

std::string label(const std::string& op, int32_t type) { return op + (type == GRAFT_BF16 ? " bf16" : " f32"); }
double tolerance(int32_t type) { return type == GRAFT_BF16 ? 1.0 / 128 : 3e-6; }

void activations(int32_t type, int32_t f, int64_t n) {
    const char* names[] = {"gelu", "gelu_tanh", "tanh", "relu"};
    auto at = [=](double x) {
        if (f == GRAFT_GELU) return x * std::erfc(-x / std::sqrt(2.0)) / 2;
        if (f == GRAFT_GELU_TANH) return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
        return f == GRAFT_TANH ? std::tanh(x) : std::max(x, 0.0);
    };
    const Array x = normal(type, 1, n, 1, 2.0), dy = normal(type, 1, n, 2);
    Values y, dx;
    for (int64_t i = 0; i < n; ++i) {
        const double v = x.at(0, i), h = 1e-5;
        y.push_back(at(v));
        dx.push_back(dy.at(0, i) * (at(v + h) - at(v - h)) / (2 * h));
    }
    const std::string name = std::string(names[f]) + " " + std::to_string(n);
    run_case({label("activation " + name, type), tolerance(type), y, [=](Run& r, Values* out) {
                  const graft_activation_args a{r.tensor(type, 1, n), r.put(x), f};
                  r.check(api().activation(r.context(), &a));
                  r.get(a.y, out);
              }});
    run_case({label("activation_backward " + name, type), tolerance(type), dx, [=](Run& r, Values* out) {
                  const graft_activation_backward_args a{r.tensor(type, 1, n), r.put(dy), r.put(x), f};
                  r.check(api().activation_backward(r.context(), &a));
                  r.get(a.dx, out);
              }});
}

void layer_norms(int32_t type, int64_t rows, int64_t cols) {
    const double eps = 1e-5;
    const Array x = normal(type, rows, cols, 1), more = normal(type, rows, cols, 2), w = normal(type, 1, cols, 3);
    const Array bias = normal(type, 1, cols, 4), dy = normal(type, rows, cols, 5), before = normal(GRAFT_F32, 1, cols, 6);
    Array sum = x;
    Values y, means, rstds, dx, dw = before.values, dbias = before.values;
    for (int64_t i = 0; i < rows; ++i) {
        double mean = 0, square = 0, g_mean = 0, dot = 0;
        for (int64_t c = 0; c < cols; ++c) {
            double& v = sum.values[size_t(i * cols + c)];
            v = rounded(type, v + more.at(i, c));
            mean += v / double(cols);
        }
        for (int64_t c = 0; c < cols; ++c) square += (sum.at(i, c) - mean) * (sum.at(i, c) - mean) / double(cols);
        const double rstd = rounded(GRAFT_F32, 1 / std::sqrt(square + eps));
        mean = rounded(GRAFT_F32, mean);
        means.push_back(mean);
        rstds.push_back(rstd);
        for (int64_t c = 0; c < cols; ++c) {
            const double hat = (sum.at(i, c) - mean) * rstd, g = dy.at(i, c) * w.at(0, c);
            y.push_back(hat * w.at(0, c) + bias.at(0, c));
            g_mean += g / double(cols);
            dot += g * hat / double(cols);
            dw[size_t(c)] += dy.at(i, c) * hat;
            dbias[size_t(c)] += dy.at(i, c);
        }
        for (int64_t c = 0; c < cols; ++c)
            dx.push_back(rstd * (dy.at(i, c) * w.at(0, c) - g_mean - (sum.at(i, c) - mean) * rstd * dot));
    }
    const std::string shape = std::to_string(rows) + "x" + std::to_string(cols);
    run_case({label("layer_norm " + shape, type), tolerance(type), y, [=](Run& r, Values* out) {
                  graft_layer_norm_args a{};
                  a.y = r.tensor(type, rows, cols);
                  a.sum = r.tensor(type, rows, cols);
                  a.mean = r.tensor(GRAFT_F32, rows, 1, kFlat);
                  a.rstd = r.tensor(GRAFT_F32, rows, 1, kFlat);
                  a.x = r.put(x);
                  a.residual = r.put(more);
                  a.w = r.put(w);
                  a.bias = r.put(bias);
                  a.eps = float(eps);
                  r.check(api().layer_norm(r.context(), &a));
                  r.get(a.y, out);
              }});
    Values all = dx;
    all.insert(all.end(), dw.begin(), dw.end());
    all.insert(all.end(), dbias.begin(), dbias.end());
    run_case({label("layer_norm_backward " + shape, type), tolerance(type), all, [=](Run& r, Values* out) {
                  graft_layer_norm_backward_args a{};
                  a.dx = r.tensor(type, rows, cols);
                  a.dw = r.put(before);
                  a.dbias = r.put(before);
                  a.dy = r.put(dy);
                  a.x = r.put(sum);
                  a.mean = r.put(Array(GRAFT_F32, rows, 1, [=](int64_t i) { return means[size_t(i)]; }), kFlat);
                  a.rstd = r.put(Array(GRAFT_F32, rows, 1, [=](int64_t i) { return rstds[size_t(i)]; }), kFlat);
                  a.w = r.put(w);
                  r.check(api().layer_norm_backward(r.context(), &a));
                  for (const graft_tensor& t : {a.dx, a.dw, a.dbias}) r.get(t, out);
              }});
}

void pools(int32_t type, int32_t kind) {
    const std::vector<int> cu = {0, 3, 3, 4, 40};
    const int64_t n = int64_t(cu.size()) - 1, h = 37;
    const Array x = normal(type, cu.back(), h, 1), dy = normal(type, n, h, 2);
    Values y(size_t(n * h)), dx(size_t(cu.back() * h));
    for (int64_t s = 0; s < n; ++s)
        for (int64_t c = 0; c < h; ++c) {
            const int first = cu[size_t(s)], last = cu[size_t(s + 1)];
            if (first == last) continue;
            int best = kind == GRAFT_POOL_LAST ? last - 1 : first;
            double sum = 0;
            for (int t = first; t < last; ++t) {
                sum += x.at(t, c);
                if (kind == GRAFT_POOL_MAX && x.at(t, c) > x.at(best, c)) best = t;
                if (kind == GRAFT_POOL_MEAN) dx[size_t(t * h + c)] = dy.at(s, c) / (last - first);
            }
            y[size_t(s * h + c)] = kind == GRAFT_POOL_MEAN ? sum / (last - first) : x.at(best, c);
            if (kind != GRAFT_POOL_MEAN) dx[size_t(best * h + c)] = dy.at(s, c);
        }
    const double allowed = kind == GRAFT_POOL_MEAN ? tolerance(type) : 0;
    run_case({label("pool " + std::to_string(kind), type), allowed, y, [=](Run& r, Values* out) {
                  const graft_pool_args a{r.tensor(type, n, h), r.put(x), r.put(integers(cu)), kind};
                  r.check(api().pool(r.context(), &a));
                  r.get(a.y, out);
              }});
    run_case({label("pool_backward " + std::to_string(kind), type), allowed, dx, [=](Run& r, Values* out) {
                  const graft_pool_backward_args a{r.tensor(type, cu.back(), h), r.put(dy), r.put(x), r.put(integers(cu)), kind};
                  r.check(api().pool_backward(r.context(), &a));
                  r.get(a.dx, out);
              }});
}

void losses(int32_t type, int32_t kind) {
    const int64_t n = 11, classes = 37;
    const Array z = normal(type, n, classes, 1, 2.0);
    const Array values(GRAFT_F32, n, classes, [](int64_t i) { return double(i * i % 3) / 2; });
    const Array weights(GRAFT_F32, 1, n, [](int64_t i) { return i == 4 ? 0.0 : i % 2 ? 0.5 : 1.0; });
    std::vector<int> labels;
    for (int64_t i = 0; i < n; ++i) labels.push_back(i == 4 ? -1 : int(i * 5 % classes));
    Values loss = {3, 5}, dz(size_t(n * classes));
    for (int64_t i = 0; i < n; ++i) {
        const double factor = weights.at(0, i) * 0.25;
        if (factor == 0) continue;
        double sum = 0, l = 0;
        int64_t best = 0;
        bool right = kind == GRAFT_BINARY_CROSS_ENTROPY;
        for (int64_t c = 0; c < classes; ++c) {
            sum += std::exp(z.at(i, c));
            if (z.at(i, c) > z.at(i, best)) best = c;
        }
        if (kind == GRAFT_SOFTMAX_CROSS_ENTROPY) {
            l = std::log(sum) - z.at(i, labels[size_t(i)]);
            right = best == labels[size_t(i)];
        }
        for (int64_t c = 0; c < classes; ++c) {
            const double x = z.at(i, c), v = values.at(i, c), s = 1 / (1 + std::exp(-x));
            double d = std::exp(x) / sum - (c == labels[size_t(i)]);
            if (kind == GRAFT_BINARY_CROSS_ENTROPY) {
                l -= (v * std::log(s) + (1 - v) * std::log(1 - s)) / double(classes);
                d = (s - v) / double(classes);
                right = right && (x > 0) == (v > 0.5);
            } else if (kind == GRAFT_MEAN_SQUARED_ERROR) {
                l += (x - v) * (x - v) / double(classes);
                d = 2 * (x - v) / double(classes);
            }
            dz[size_t(i * classes + c)] = factor * d;
        }
        loss[0] += factor * l;
        loss[1] += right ? weights.at(0, i) : 0;
    }
    for (bool gradient : {false, true})
        run_case({label(std::string("classification_loss ") + (gradient ? "gradient " : "") + std::to_string(kind), type),
                  gradient ? tolerance(type) : 3e-6, gradient ? dz : loss, [=](Run& r, Values* out) {
                      graft_classification_loss_args a{};
                      a.loss = r.put(Array(GRAFT_F32, 1, 2, [](int64_t i) { return i ? 5.0 : 3.0; }));
                      if (gradient) a.dlogits = r.tensor(type, n, classes);
                      a.logits = r.put(z);
                      a.classes = r.put(integers(labels));
                      a.values = r.put(values);
                      a.weights = r.put(weights);
                      a.inverse = r.put(Array(GRAFT_F32, 1, 1, [](int64_t) { return 0.25; }));
                      a.kind = kind;
                      r.check(api().classification_loss(r.context(), &a));
                      r.get(gradient ? a.dlogits : a.loss, out);
                  }});
}

}  // namespace

void encoder_cases() {
    for (int32_t type : {GRAFT_F32, GRAFT_BF16}) {
        for (int32_t f = GRAFT_GELU; f <= GRAFT_RELU; ++f)
            for (int64_t n : {64, 301}) activations(type, f, n);
        layer_norms(type, 5, 64);
        layer_norms(type, 70, 301);
        for (int32_t kind = GRAFT_POOL_FIRST; kind <= GRAFT_POOL_MAX; ++kind) pools(type, kind);
        for (int32_t kind = GRAFT_SOFTMAX_CROSS_ENTROPY; kind <= GRAFT_MEAN_SQUARED_ERROR; ++kind) losses(type, kind);
    }
}

}  // namespace test

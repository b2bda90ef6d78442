// classification_loss: one row for each sequence and one column for each class are so few numbers that plain loops do.
//
// Gradients of a row, times weight·inverse:  softmax(z) − [label],  (σ(z) − v)/C,  2 (z − v)/C.
#include <cmath>

#include "cpu.h"

namespace graft::cpu {

namespace {

struct RowLoss {
    double loss;
    bool right;
};

// z may be dz: an element is read before it is written.
template <class T> RowLoss softmax_row_loss(T* dz, const T* z, int64_t n, int64_t label, double factor) {
    int64_t best = 0;
    for (int64_t c = 1; c < n; c++)
        if (widen(z[c]) > widen(z[best])) best = c;
    const double top = double(widen(z[best]));
    double sum = 0;
    for (int64_t c = 0; c < n; c++) sum += std::exp(double(widen(z[c])) - top);
    const double lse = top + std::log(sum), loss = lse - double(widen(z[label]));
    for (int64_t c = 0; dz && c < n; c++) {
        const double p = c == label ? std::expm1(-loss) : std::exp(double(widen(z[c])) - lse);
        put(dz + c, float(factor * p));
    }
    return {loss, best == label};
}

template <class T> RowLoss binary_row_loss(T* dz, const T* z, const float* v, int64_t n, double factor) {
    RowLoss row = {0, true};
    for (int64_t c = 0; c < n; c++) {
        const double x = double(widen(z[c])), y = double(v[c]), e = std::exp(-std::fabs(x));
        row.loss += (std::max(x, 0.0) - x * y + std::log1p(e)) / double(n);
        row.right = row.right && (x > 0) == (y > 0.5);
        const double s = (x > 0 ? 1 : e) / (1 + e), rest = (x > 0 ? e : 1) / (1 + e);  // σ(x), 1 − σ(x)
        if (dz) put(dz + c, float(factor * (s * (1 - y) - rest * y) / double(n)));
    }
    return row;
}

template <class T> RowLoss squared_row_loss(T* dz, const T* z, const float* v, int64_t n, double factor) {
    RowLoss row = {0, false};
    for (int64_t c = 0; c < n; c++) {
        const double d = double(widen(z[c])) - double(v[c]);
        row.loss += d * d / double(n);
        if (dz) put(dz + c, float(factor * 2 * d / double(n)));
    }
    return row;
}

}  // namespace

graft_status* classification_loss(graft_context*, const graft_classification_loss_args* a) {
    GRAFT_TRY(check_shape("logits", a->logits, kFloat, -1, -1));
    const int64_t n = rows(a->logits), classes = cols(a->logits);
    const bool softmax = a->kind == GRAFT_SOFTMAX_CROSS_ENTROPY;
    if (a->kind < GRAFT_SOFTMAX_CROSS_ENTROPY || a->kind > GRAFT_MEAN_SQUARED_ERROR)
        return error(GRAFT_INVALID_ARGUMENT, "loss %d", a->kind);
    GRAFT_TRY(check_flat("loss", a->loss, kF32, 2));
    GRAFT_TRY(check_optional("dlogits", a->dlogits, same(a->logits), n, classes));
    if (softmax) GRAFT_TRY(check_flat("classes", a->classes, kI32, n));
    else GRAFT_TRY(check_shape("values", a->values, kF32, n, classes));
    GRAFT_TRY(check_flat("weights", a->weights, kF32, n));
    GRAFT_TRY(check_flat("inverse", a->inverse, kF32, 1));
    const float* weights = data<const float>(a->weights);
    const int32_t* labels = softmax ? data<const int32_t>(a->classes) : nullptr;
    for (int64_t i = 0; softmax && i < n; i++)
        if (weights[i] != 0 && (labels[i] < 0 || labels[i] >= classes))
            return error(GRAFT_INVALID_ARGUMENT, "classes[%lld] is %d, expected 0 to %lld", static_cast<long long>(i),
                         labels[i], static_cast<long long>(classes - 1));
    const double inverse = double(*data<const float>(a->inverse));
    double sum = 0, right = 0;
    GRAFT_BY_TYPE(a->logits, T, for (int64_t i = 0; i < n; i++) {
        T* dz = given(a->dlogits) ? data<T>(a->dlogits) + i * a->dlogits.pitch : nullptr;
        const double weight = double(weights[i]), factor = weight * inverse;
        if (weight == 0) {
            if (dz) std::memset(dz, 0, size_t(classes) * sizeof(T));
            continue;
        }
        const T* z = data<const T>(a->logits) + i * a->logits.pitch;
        const float* v = softmax ? nullptr : data<const float>(a->values) + i * a->values.pitch;
        const RowLoss row = softmax                                    ? softmax_row_loss(dz, z, classes, labels[i], factor)
                            : a->kind == GRAFT_BINARY_CROSS_ENTROPY ? binary_row_loss(dz, z, v, classes, factor)
                                                                       : squared_row_loss(dz, z, v, classes, factor);
        sum += factor * row.loss;
        right += row.right ? weight : 0;
    });
    data<float>(a->loss)[0] += float(sum);
    data<float>(a->loss)[1] += float(right);
    return nullptr;
}

}  // namespace graft::cpu

// classification_loss: one row for each sequence and one column for each class are
// so few numbers that one block does, in double. A warp takes every eighth row.
//
// Gradients of a row, times weight * inverse:
//     softmax(z) - [label],  (sigmoid(z) - v) / C,  2 (z - v) / C
#include "context.cuh"

namespace graft::cuda {
namespace {

constexpr int kWarps = kThreads / 32;

__device__ inline double lanes_sum(double value) {
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullMask, value, offset);
    return value;
}

struct RowLoss {
    double loss;
    bool right;
};

template <class T> __device__ inline RowLoss softmax_loss(T* dz, const T* z, int n, int label, double factor) {
    const int lane = threadIdx.x % 32;
    float top = -INFINITY;
    for (int c = lane; c < n; c += 32) top = fmaxf(top, widen(z[c]));
    top = warp_max(top);
    int best = INT_MAX;  // the first of the largest
    double sum = 0.0;
    for (int c = lane; c < n; c += 32) {
        if (widen(z[c]) == top && c < best) best = c;
        sum += exp(double(widen(z[c]) - top));
    }
    for (int offset = 16; offset > 0; offset /= 2) {
        const int other = __shfl_xor_sync(kFullMask, best, offset);
        best = other < best ? other : best;
    }
    sum = lanes_sum(sum);
    const double at_label = double(widen(z[label]) - top);
    for (int c = lane; dz && c < n; c += 32)
        store(dz + c, float(factor * ((exp(double(widen(z[c]) - top)) - (c == label ? sum : 0.0)) / sum)));
    const double loss = log(sum) - at_label;
    return {loss, best == label};
}

template <class T> __device__ inline RowLoss binary_loss(T* dz, const T* z, const float* v, int n, double factor) {
    double loss = 0.0;
    bool wrong = false;
    for (int c = threadIdx.x % 32; c < n; c += 32) {
        const double x = double(widen(z[c])), y = double(v[c]), e = exp(-fabs(x));
        loss += (fmax(x, 0.0) - x * y + log1p(e)) / double(n);
        wrong |= (x > 0) != (y > 0.5);
        const double s = (x > 0 ? 1 : e) / (1 + e), rest = (x > 0 ? e : 1) / (1 + e);  // sigmoid(x), 1 - sigmoid(x)
        if (dz) store(dz + c, float(factor * (s * (1 - y) - rest * y) / double(n)));
    }
    return {lanes_sum(loss), __ballot_sync(kFullMask, wrong) == 0};
}

template <class T> __device__ inline RowLoss squared_loss(T* dz, const T* z, const float* v, int n, double factor) {
    double loss = 0.0;
    for (int c = threadIdx.x % 32; c < n; c += 32) {
        const double d = double(widen(z[c])) - double(v[c]);
        loss += d * d / double(n);
        if (dz) store(dz + c, float(factor * 2 * d / double(n)));
    }
    return {lanes_sum(loss), false};
}

template <class T, int Kind>
__global__ void __launch_bounds__(kThreads, 1)
losses(float* total, Matrix<T> dz, Matrix<const T> z, const int32_t* classes, Matrix<const float> values, const float* weights,
       const float* inverse) {
    GRAFT_SHARED(double, parts, 2 * kWarps);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    double sum = 0.0, right = 0.0;
    for (int64_t i = warp; i < z.rows; i += kWarps) {
        const double weight = double(weights[i]), factor = weight * double(inverse[0]);
        T* gradient = dz.data ? dz.row(i) : nullptr;
        const int64_t label = Kind == GRAFT_SOFTMAX_CROSS_ENTROPY ? classes[i] : 0;
        if (weight == 0.0 || label < 0 || label >= z.cols) {
            for (int64_t c = lane; gradient && c < z.cols; c += 32) store(gradient + c, 0.0f);
            continue;
        }
        const float* v = values.data ? values.row(i) : nullptr;
        RowLoss row;
        if (Kind == GRAFT_SOFTMAX_CROSS_ENTROPY) row = softmax_loss(gradient, z.row(i), int(z.cols), int(label), factor);
        else if (Kind == GRAFT_BINARY_CROSS_ENTROPY) row = binary_loss(gradient, z.row(i), v, int(z.cols), factor);
        else row = squared_loss(gradient, z.row(i), v, int(z.cols), factor);
        sum += factor * row.loss;
        right += row.right ? weight : 0.0;
    }
    if (lane == 0) {
        parts[warp] = sum;
        parts[kWarps + warp] = right;
    }
    __syncthreads();
    if (threadIdx.x > 1) return;
    double all = 0.0;
    for (int w = 0; w < kWarps; ++w) all += parts[threadIdx.x * kWarps + w];
    total[threadIdx.x] += float(all);
}

template <class T, int Kind> void launch(graft_context* c, const graft_classification_loss_args* a) {
    GRAFT_LAUNCH((losses<T, Kind>), dim3(1), dim3(kThreads), 0, c->stream, data<float>(a->loss), view<T>(a->dlogits),
                 view<const T>(a->logits), data<int32_t>(a->classes), view<const float>(a->values), data<float>(a->weights),
                 data<float>(a->inverse));
}

}  // namespace

graft_status* classification_loss(graft_context* c, const graft_classification_loss_args* a) {
    GRAFT_TRY(check_shape("logits", a->logits, kFloat, -1, -1));
    const int64_t n = rows(a->logits), classes = cols(a->logits);
    if (a->kind < GRAFT_SOFTMAX_CROSS_ENTROPY || a->kind > GRAFT_MEAN_SQUARED_ERROR)
        return error(GRAFT_INVALID_ARGUMENT, "loss %d", a->kind);
    GRAFT_TRY(check_flat("loss", a->loss, kF32, 2));
    GRAFT_TRY(check_optional("dlogits", a->dlogits, same(a->logits), n, classes));
    if (a->kind == GRAFT_SOFTMAX_CROSS_ENTROPY) GRAFT_TRY(check_flat("classes", a->classes, kI32, n));
    else GRAFT_TRY(check_shape("values", a->values, kF32, n, classes));
    GRAFT_TRY(check_flat("weights", a->weights, kF32, n));
    GRAFT_TRY(check_flat("inverse", a->inverse, kF32, 1));
    if (n == 0 || classes == 0) return nullptr;
    if (classes > INT_MAX) return error(GRAFT_UNIMPLEMENTED, "%lld classes", (long long)classes);
    GRAFT_BY_TYPE(a->logits, T, {
        if (a->kind == GRAFT_SOFTMAX_CROSS_ENTROPY) launch<T, GRAFT_SOFTMAX_CROSS_ENTROPY>(c, a);
        else if (a->kind == GRAFT_BINARY_CROSS_ENTROPY) launch<T, GRAFT_BINARY_CROSS_ENTROPY>(c, a);
        else launch<T, GRAFT_MEAN_SQUARED_ERROR>(c, a);
    });
    return launched();
}

}  // namespace graft::cuda

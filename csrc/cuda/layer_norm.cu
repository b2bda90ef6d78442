// layer_norm with the residual sum (Ba, Kiros and Hinton, arXiv 1607.06450). With
// x^ = (x - mean) rstd and g = dy w:
//     y = w x^ + bias,  dx = rstd (g - mean(g) - x^ mean(g x^)),  dw += dy x^,  dbias += dy
// One block a row, float32 inside; the variance is that of the differences from the
// mean. Gradients of parameters are reduced in two passes (column_sum.cuh).
#include "norm.cuh"

namespace graft::cuda {
namespace {

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
forward(Matrix<T> y, Matrix<T> sum, float* means, float* rstds, Matrix<const T> x, Matrix<const T> residual, const W* w,
        const W* bias, float eps) {
    const int64_t row = blockIdx.x;
    float total = 0.0f, squares = 0.0f;
    const T* from = each_of_row<V>(row, sum, x, residual, [&](float v) { total += v; });
    const float mean = block_sum<kThreads>(total) / float(x.cols);
    each_pair<V>(from, from, x.cols, [&](float v, float, int64_t) { squares += (v - mean) * (v - mean); });
    const float rstd = 1.0f / sqrtf(block_sum<kThreads>(squares) / float(x.cols) + eps);
    if (threadIdx.x == 0) {
        means[row] = mean;
        rstds[row] = rstd;
    }
    map_row<V>(y.row(row), from, x.cols, [&](const T& v, int64_t c) { return (widen(v) - mean) * rstd * widen(w[c]) + widen(bias[c]); });
}

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
backward_input(Matrix<T> dx, Matrix<const T> dy, Matrix<const T> x, const float* means, const float* rstds, const W* w, bool accumulate) {
    const int64_t row = blockIdx.x;
    const float mean = means[row], rstd = rstds[row];
    float total = 0.0f, dot = 0.0f;
    each_pair<V>(dy.row(row), x.row(row), x.cols, [&](float d, float v, int64_t c) {
        const float g = d * widen(w[c]);
        total += g;
        dot += g * (v - mean);
    });
    total = block_sum<kThreads>(total) / float(x.cols);
    dot = block_sum<kThreads>(dot) / float(x.cols) * rstd * rstd;
    write_gradient<V>(dx.row(row), dy.row(row), x.row(row), x.cols, accumulate,
                      [&](float d, float v, int64_t c) { return rstd * (d * widen(w[c]) - total - (v - mean) * dot); });
}

template <class T> struct WeightTerm {
    Matrix<const T> dy, x;
    const float *mean, *rstd;
    __device__ float operator()(int64_t row, int64_t col) const {
        return widen(dy.row(row)[col]) * ((widen(x.row(row)[col]) - mean[row]) * rstd[row]);
    }
};
template <class T> struct BiasTerm {
    Matrix<const T> dy;
    __device__ float operator()(int64_t row, int64_t col) const { return widen(dy.row(row)[col]); }
};

template <class T, class W, int V> void launch_forward(graft_context* c, const graft_layer_norm_args* a) {
    GRAFT_LAUNCH((forward<T, W, V>), dim3(unsigned(rows(a->x))), dim3(kThreads), 0, c->stream, view<T>(a->y), view<T>(a->sum),
                 data<float>(a->mean), data<float>(a->rstd), view<const T>(a->x), view<const T>(a->residual),
                 data<const W>(a->w), data<const W>(a->bias), a->eps);
}

template <class T, class W, int V> void launch_backward(graft_context* c, const graft_layer_norm_backward_args* a) {
    GRAFT_LAUNCH((backward_input<T, W, V>), dim3(unsigned(rows(a->x))), dim3(kThreads), 0, c->stream, view<T>(a->dx),
                 view<const T>(a->dy), view<const T>(a->x), data<float>(a->mean), data<float>(a->rstd), data<const W>(a->w),
                 a->accumulate != 0);
}

}  // namespace

graft_status* layer_norm(graft_context* c, const graft_layer_norm_args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_norm(a));
    GRAFT_TRY(check_flat("mean", a->mean, kF32, n));
    GRAFT_TRY(check_flat("bias", a->bias, same(a->w), h));
    if (n == 0 || h == 0) return nullptr;
    const bool fast = packs(a->x, 8) && packs(a->y, 8) && packs(a->residual, 8) && packs(a->sum, 8);
    GRAFT_BY_TYPE(a->x, T, GRAFT_BY_TYPE(a->w, W, {
        if (fast) launch_forward<T, W, 8>(c, a);
        else launch_forward<T, W, 1>(c, a);
    }));
    return launched();
}

graft_status* layer_norm_backward(graft_context* c, const graft_layer_norm_backward_args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_norm_backward(a));
    GRAFT_TRY(check_flat("mean", a->mean, kF32, n));
    if (n == 0 || h == 0) return nullptr;
    if (given(a->dw)) {  // first, for dx may be dy
        GRAFT_BY_TYPE(a->x, T,
                      GRAFT_TRY(add_column_sums(c, data<float>(a->dw),
                                                WeightTerm<T>{view<const T>(a->dy), view<const T>(a->x), data<float>(a->mean),
                                                              data<float>(a->rstd)}, n, h)));
    }
    if (given(a->dbias)) {
        GRAFT_TRY(check_flat("dbias", a->dbias, kF32, h));
        GRAFT_BY_TYPE(a->x, T, GRAFT_TRY(add_column_sums(c, data<float>(a->dbias), BiasTerm<T>{view<const T>(a->dy)}, n, h)));
    }
    if (!given(a->dx)) return nullptr;
    const bool fast = packs(a->x, 8) && packs(a->dy, 8) && packs(a->dx, 8);
    GRAFT_BY_TYPE(a->x, T, GRAFT_BY_TYPE(a->w, W, {
        if (fast) launch_backward<T, W, 8>(c, a);
        else launch_backward<T, W, 1>(c, a);
    }));
    return launched();
}

}  // namespace graft::cuda

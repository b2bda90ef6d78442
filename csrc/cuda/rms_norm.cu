// RMSNorm with the residual sum (Zhang and Sennrich, arXiv 1910.07467):
//     s = x + residual,  y = w * (s * rstd),  rstd = 1 / sqrt(mean(s^2) + eps)
//     ds = rstd * (dy*w - s * rstd^2 * mean(dy*w*s)),  dw += sum over rows of dy * s * rstd
// One block a row, float32 inside. The weight gradient is reduced in two passes
// of fixed order (column_sum.cuh).
#include "norm.cuh"

namespace graft::cuda {
namespace {

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
forward(Matrix<T> y, Matrix<T> sum, float* rstd, Matrix<const T> x, Matrix<const T> residual, const W* w, float eps,
        bool unit_offset) {
    const int64_t row = blockIdx.x;
    float squares = 0.0f;
    const T* from = each_of_row<V>(row, sum, x, residual, [&](float v) { squares += v * v; });
    const float scale = 1.0f / sqrtf(block_sum<kThreads>(squares) / float(x.cols) + eps);
    if (threadIdx.x == 0) rstd[row] = scale;
    map_row<V>(y.row(row), from, x.cols, [&](const T& v, int64_t c) {
        const float value = widen(v) * scale, weight = widen(w[c]);
        return unit_offset ? value * (1.0f + weight) : rounded(&v, value) * weight;
    });
}

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
backward_input(Matrix<T> dx, Matrix<const T> dy, Matrix<const T> x, const float* rstd, const W* w, float one, bool accumulate) {
    const int64_t row = blockIdx.x;
    float dot = 0.0f;
    each_pair<V>(dy.row(row), x.row(row), x.cols, [&](float g, float v, int64_t c) { dot += g * (widen(w[c]) + one) * v; });
    const float scale = rstd[row];
    const float mean = block_sum<kThreads>(dot) / float(x.cols) * scale * scale;
    write_gradient<V>(dx.row(row), dy.row(row), x.row(row), x.cols, accumulate,
                      [&](float g, float v, int64_t c) { return scale * (g * (widen(w[c]) + one) - v * mean); });
}

template <class T> struct WeightTerm {
    Matrix<const T> dy, x;
    const float* rstd;
    bool unit_offset;
    __device__ float operator()(int64_t row, int64_t col) const {
        const float value = widen(x.row(row)[col]) * rstd[row];
        return widen(dy.row(row)[col]) * (unit_offset ? value : rounded(x.data, value));
    }
};

template <class T, class W, int V> void launch_forward(graft_context* c, const graft_rms_norm_args* a) {
    GRAFT_LAUNCH((forward<T, W, V>), dim3(unsigned(rows(a->x))), dim3(kThreads), 0, c->stream, view<T>(a->y),
                 view<T>(a->sum), data<float>(a->rstd), view<const T>(a->x), view<const T>(a->residual),
                 data<const W>(a->w), a->eps, a->unit_offset != 0);
}

template <class T, class W, int V> void launch_backward(graft_context* c, const graft_rms_norm_backward_args* a) {
    GRAFT_LAUNCH((backward_input<T, W, V>), dim3(unsigned(rows(a->x))), dim3(kThreads), 0, c->stream, view<T>(a->dx),
                 view<const T>(a->dy), view<const T>(a->x), data<float>(a->rstd), data<const W>(a->w),
                 a->unit_offset ? 1.0f : 0.0f, a->accumulate != 0);
}

}  // namespace

graft_status* rms_norm(graft_context* c, const graft_rms_norm_args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_norm(a));
    if (n == 0 || h == 0) return nullptr;
    const bool fast = packs(a->x, 8) && packs(a->y, 8) && packs(a->residual, 8) && packs(a->sum, 8);
    GRAFT_BY_TYPE(a->x, T, GRAFT_BY_TYPE(a->w, W, {
        if (fast) launch_forward<T, W, 8>(c, a);
        else launch_forward<T, W, 1>(c, a);
    }));
    return launched();
}

graft_status* rms_norm_backward(graft_context* c, const graft_rms_norm_backward_args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_norm_backward(a));
    if (n == 0 || h == 0) return nullptr;
    if (given(a->dw)) {  // first, for dx may be dy
        GRAFT_BY_TYPE(a->x, T,
                      GRAFT_TRY(add_column_sums(c, data<float>(a->dw),
                                                WeightTerm<T>{view<const T>(a->dy), view<const T>(a->x),
                                                              data<float>(a->rstd), a->unit_offset != 0}, n, h)));
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

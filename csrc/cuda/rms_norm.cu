// RMSNorm with the residual sum (Zhang and Sennrich, arXiv 1910.07467):
//     s = x + residual,  y = w * (s * rstd),  rstd = 1 / sqrt(mean(s^2) + eps)
//     ds = rstd * (dy*w - s * rstd^2 * mean(dy*w*s)),  dw += sum over rows of dy * s * rstd
// One block a row, float32 inside. The weight gradient is reduced in two passes
// of fixed order (column_sum.cuh).
#include "column_sum.cuh"

namespace graft::cuda {
namespace {

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
forward(Matrix<T> y, Matrix<T> sum, float* rstd, Matrix<const T> x, Matrix<const T> residual, const W* w, float eps,
        bool unit_offset) {
    const int64_t row = blockIdx.x, cols = y.cols;
    const T* from = x.row(row);
    float squares = 0.0f;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        Pack<T, V> v = load_pack<V>(from + c);
        if (residual.data) {
            const Pack<T, V> r = load_pack<V>(residual.row(row) + c);
#pragma unroll
            for (int i = 0; i < V; ++i) store(&v.at[i], widen(v.at[i]) + widen(r.at[i]));
            store_pack(sum.row(row) + c, v);
        }
#pragma unroll
        for (int i = 0; i < V; ++i) squares += widen(v.at[i]) * widen(v.at[i]);
    }
    const float scale = 1.0f / sqrtf(block_sum<kThreads>(squares) / float(cols) + eps);
    if (threadIdx.x == 0) rstd[row] = scale;
    if (residual.data) from = sum.row(row);  // each thread reads back what it wrote
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> v = load_pack<V>(from + c);
        Pack<T, V> out;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float value = widen(v.at[i]) * scale, weight = widen(w[c + i]);
            store(&out.at[i], unit_offset ? value * (1.0f + weight) : rounded(&v.at[i], value) * weight);
        }
        store_pack(y.row(row) + c, out);
    }
}

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
backward_input(Matrix<T> dx, Matrix<const T> dy, Matrix<const T> x, const float* rstd, const W* w, float one, bool accumulate) {
    const int64_t row = blockIdx.x, cols = x.cols;
    float dot = 0.0f;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> g = load_pack<V>(dy.row(row) + c), v = load_pack<V>(x.row(row) + c);
#pragma unroll
        for (int i = 0; i < V; ++i) dot += widen(g.at[i]) * (widen(w[c + i]) + one) * widen(v.at[i]);
    }
    const float scale = rstd[row];
    const float mean = block_sum<kThreads>(dot) / float(cols) * scale * scale;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> g = load_pack<V>(dy.row(row) + c), v = load_pack<V>(x.row(row) + c);
        Pack<T, V> out;
        if (accumulate) out = load_pack<V>(dx.row(row) + c);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float d = scale * (widen(g.at[i]) * (widen(w[c + i]) + one) - widen(v.at[i]) * mean);
            store(&out.at[i], accumulate ? d + widen(out.at[i]) : d);
        }
        store_pack(dx.row(row) + c, out);
    }
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
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("y", a->y, same(a->x), n, h));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_optional("residual", a->residual, same(a->x), n, h));
    GRAFT_TRY(check_optional("sum", a->sum, same(a->x), n, h));
    if (given(a->sum) != given(a->residual)) return error(GRAFT_INVALID_ARGUMENT, "sum and residual go together");
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
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("dy", a->dy, same(a->x), n, h));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_optional("dx", a->dx, same(a->x), n, h));
    if (n == 0 || h == 0) return nullptr;
    if (given(a->dw)) {  // first, for dx may be dy
        GRAFT_TRY(check_flat("dw", a->dw, kF32, h));
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

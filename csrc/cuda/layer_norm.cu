// layer_norm with the residual sum (Ba, Kiros and Hinton, arXiv 1607.06450). With
// x^ = (x - mean) rstd and g = dy w:
//     y = w x^ + bias,  dx = rstd (g - mean(g) - x^ mean(g x^)),  dw += dy x^,  dbias += dy
// One block a row, float32 inside; the variance is that of the differences from the
// mean. Gradients of parameters are reduced in two passes (column_sum.cuh).
#include "column_sum.cuh"

namespace graft::cuda {
namespace {

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
forward(Matrix<T> y, Matrix<T> sum, float* means, float* rstds, Matrix<const T> x, Matrix<const T> residual, const W* w,
        const W* bias, float eps) {
    const int64_t row = blockIdx.x, cols = y.cols;
    const T* from = x.row(row);
    float total = 0.0f;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        Pack<T, V> v = load_pack<V>(from + c);
        if (residual.data) {
            const Pack<T, V> r = load_pack<V>(residual.row(row) + c);
#pragma unroll
            for (int i = 0; i < V; ++i) store(&v.at[i], widen(v.at[i]) + widen(r.at[i]));
            store_pack(sum.row(row) + c, v);
        }
#pragma unroll
        for (int i = 0; i < V; ++i) total += widen(v.at[i]);
    }
    const float mean = block_sum<kThreads>(total) / float(cols);
    if (residual.data) from = sum.row(row);  // each thread reads back what it wrote
    float squares = 0.0f;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> v = load_pack<V>(from + c);
#pragma unroll
        for (int i = 0; i < V; ++i) squares += (widen(v.at[i]) - mean) * (widen(v.at[i]) - mean);
    }
    const float rstd = 1.0f / sqrtf(block_sum<kThreads>(squares) / float(cols) + eps);
    if (threadIdx.x == 0) {
        means[row] = mean;
        rstds[row] = rstd;
    }
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> v = load_pack<V>(from + c);
        Pack<T, V> out;
#pragma unroll
        for (int i = 0; i < V; ++i) store(&out.at[i], (widen(v.at[i]) - mean) * rstd * widen(w[c + i]) + widen(bias[c + i]));
        store_pack(y.row(row) + c, out);
    }
}

template <class T, class W, int V>
__global__ void __launch_bounds__(kThreads)
backward_input(Matrix<T> dx, Matrix<const T> dy, Matrix<const T> x, const float* means, const float* rstds, const W* w, bool accumulate) {
    const int64_t row = blockIdx.x, cols = x.cols;
    const float mean = means[row], rstd = rstds[row];
    float total = 0.0f, dot = 0.0f;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> d = load_pack<V>(dy.row(row) + c), v = load_pack<V>(x.row(row) + c);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float g = widen(d.at[i]) * widen(w[c + i]);
            total += g;
            dot += g * (widen(v.at[i]) - mean);
        }
    }
    total = block_sum<kThreads>(total) / float(cols);
    dot = block_sum<kThreads>(dot) / float(cols) * rstd * rstd;
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> d = load_pack<V>(dy.row(row) + c), v = load_pack<V>(x.row(row) + c);
        Pack<T, V> out;
        if (accumulate) out = load_pack<V>(dx.row(row) + c);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float g = rstd * (widen(d.at[i]) * widen(w[c + i]) - total - (widen(v.at[i]) - mean) * dot);
            store(&out.at[i], accumulate ? g + widen(out.at[i]) : g);
        }
        store_pack(dx.row(row) + c, out);
    }
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
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("y", a->y, same(a->x), n, h));
    GRAFT_TRY(check_flat("mean", a->mean, kF32, n));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_flat("bias", a->bias, same(a->w), h));
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

graft_status* layer_norm_backward(graft_context* c, const graft_layer_norm_backward_args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("dy", a->dy, same(a->x), n, h));
    GRAFT_TRY(check_flat("mean", a->mean, kF32, n));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_optional("dx", a->dx, same(a->x), n, h));
    if (n == 0 || h == 0) return nullptr;
    if (given(a->dw)) {  // first, for dx may be dy
        GRAFT_TRY(check_flat("dw", a->dw, kF32, h));
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

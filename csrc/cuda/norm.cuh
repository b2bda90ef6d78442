// What rms_norm and layer_norm share: the residual sum, the gradient of a row, the
// checks, and the choice of packs.
#pragma once

#include "column_sum.cuh"

namespace graft::cuda {

// Calls use(value) for the elements of a row that are this thread's: of x, or of x +
// residual, which it writes to sum first. Returns the row that has them.
template <int V, class T, class Use>
__device__ inline const T* each_of_row(int64_t row, Matrix<T> sum, Matrix<const T> x, Matrix<const T> residual, Use&& use) {
    const T* from = x.row(row);
    for (int64_t c = int64_t(threadIdx.x) * V; c < x.cols; c += kThreads * V) {
        Pack<T, V> v = load_pack<V>(from + c);
        if (residual.data) {
            const Pack<T, V> r = load_pack<V>(residual.row(row) + c);
#pragma unroll
            for (int i = 0; i < V; ++i) store(&v.at[i], widen(v.at[i]) + widen(r.at[i]));
            store_pack(sum.row(row) + c, v);
        }
#pragma unroll
        for (int i = 0; i < V; ++i) use(widen(v.at[i]));
    }
    return residual.data ? sum.row(row) : from;  // each thread reads back what it wrote
}

// Writes y of a row: f(value, column) of each element of `from`.
template <int V, class T, class Function> __device__ inline void map_row(T* y, const T* from, int64_t cols, Function&& f) {
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> v = load_pack<V>(from + c);
        Pack<T, V> out;
#pragma unroll
        for (int i = 0; i < V; ++i) store(&out.at[i], f(v.at[i], c + i));
        store_pack(y + c, out);
    }
}

// Calls use(gradient, value, column) for the elements of a row that are this thread's.
template <int V, class T, class Use> __device__ inline void each_pair(const T* dy, const T* x, int64_t cols, Use&& use) {
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> g = load_pack<V>(dy + c), v = load_pack<V>(x + c);
#pragma unroll
        for (int i = 0; i < V; ++i) use(widen(g.at[i]), widen(v.at[i]), c + i);
    }
}

// Writes dx of a row, or adds to it: f(gradient, value, column) of each element.
template <int V, class T, class Function>
__device__ inline void write_gradient(T* dx, const T* dy, const T* x, int64_t cols, bool accumulate, Function&& f) {
    for (int64_t c = int64_t(threadIdx.x) * V; c < cols; c += kThreads * V) {
        const Pack<T, V> g = load_pack<V>(dy + c), v = load_pack<V>(x + c);
        Pack<T, V> out;
        if (accumulate) out = load_pack<V>(dx + c);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float d = f(widen(g.at[i]), widen(v.at[i]), c + i);
            store(&out.at[i], accumulate ? d + widen(out.at[i]) : d);
        }
        store_pack(dx + c, out);
    }
}

// The arguments that both have, forward and backward.
template <class Args> graft_status* check_norm(const Args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("y", a->y, same(a->x), n, h));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_optional("residual", a->residual, same(a->x), n, h));
    GRAFT_TRY(check_optional("sum", a->sum, same(a->x), n, h));
    return given(a->sum) == given(a->residual) ? nullptr : error(GRAFT_INVALID_ARGUMENT, "sum and residual go together");
}
template <class Args> graft_status* check_norm_backward(const Args* a) {
    const int64_t n = rows(a->x), h = cols(a->x);
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("dy", a->dy, same(a->x), n, h));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_optional("dx", a->dx, same(a->x), n, h));
    return given(a->dw) ? check_flat("dw", a->dw, kF32, h) : nullptr;
}

}  // namespace graft::cuda

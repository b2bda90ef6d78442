// pool and its backward pass: one row of each sequence, which is its first row, its
// last, their mean or maximum. A thread owns a column of a sequence, so the order
// of a mean is that of the rows.
#include "context.cuh"

namespace graft::cuda {
namespace {

template <class T> __global__ void __launch_bounds__(kThreads) forward(Matrix<T> y, Matrix<const T> x, const int32_t* cu, int32_t kind) {
    const int64_t col = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= y.cols) return;
    for (int64_t s = blockIdx.y; s < y.rows; s += gridDim.y) {
        const int64_t first = cu[s], last = cu[s + 1];
        T* to = y.row(s) + col;
        if (first >= last) {
            store(to, 0.0f);
        } else if (kind == GRAFT_POOL_MEAN) {
            float sum = 0.0f;
            for (int64_t t = first; t < last; ++t) sum += widen(x.row(t)[col]);
            store(to, sum / float(last - first));
        } else {
            int64_t best = kind == GRAFT_POOL_LAST ? last - 1 : first;
            for (int64_t t = first + 1; kind == GRAFT_POOL_MAX && t < last; ++t)
                if (widen(x.row(t)[col]) > widen(x.row(best)[col])) best = t;
            *to = x.row(best)[col];
        }
    }
}

template <class T>
__global__ void __launch_bounds__(kThreads) backward(Matrix<T> dx, Matrix<const T> dy, Matrix<const T> x, const int32_t* cu, int32_t kind) {
    const int64_t col = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= dx.cols) return;
    for (int64_t s = blockIdx.y; s < dy.rows; s += gridDim.y) {
        const int64_t first = cu[s], last = cu[s + 1];
        const T from = dy.row(s)[col];
        const float share = widen(from) / float(last - first);
        int64_t best = kind == GRAFT_POOL_LAST ? last - 1 : first;
        for (int64_t t = first + 1; kind == GRAFT_POOL_MAX && t < last; ++t)
            if (widen(x.row(t)[col]) > widen(x.row(best)[col])) best = t;
        for (int64_t t = first; t < last; ++t) {
            T* to = dx.row(t) + col;
            if (kind == GRAFT_POOL_MEAN) store(to, share);
            else if (t == best) *to = from;
            else store(to, 0.0f);
        }
    }
}

graft_status* check_kind(int32_t kind) {
    return kind >= GRAFT_POOL_FIRST && kind <= GRAFT_POOL_MAX ? nullptr : error(GRAFT_INVALID_ARGUMENT, "pooling %d", kind);
}
dim3 grid(int64_t sequences, int64_t cols) {
    return dim3(unsigned(ceil_div(cols, kThreads)), unsigned(sequences < 65535 ? sequences : 65535));
}

}  // namespace

graft_status* pool(graft_context* c, const graft_pool_args* a) {
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    GRAFT_TRY(check_shape("x", a->x, same(a->y), -1, cols(a->y)));
    GRAFT_TRY(check_flat("cu", a->cu, kI32, rows(a->y) + 1));
    GRAFT_TRY(check_kind(a->kind));
    if (elements(a->y) == 0) return nullptr;
    GRAFT_BY_TYPE(a->y, T, GRAFT_LAUNCH((forward<T>), grid(rows(a->y), cols(a->y)), dim3(kThreads), 0, c->stream, view<T>(a->y),
                                        view<const T>(a->x), data<int32_t>(a->cu), a->kind));
    return launched();
}

graft_status* pool_backward(graft_context* c, const graft_pool_backward_args* a) {
    GRAFT_TRY(check_shape("dx", a->dx, kFloat, -1, -1));
    GRAFT_TRY(check_shape("dy", a->dy, same(a->dx), -1, cols(a->dx)));
    GRAFT_TRY(check_flat("cu", a->cu, kI32, rows(a->dy) + 1));
    GRAFT_TRY(check_kind(a->kind));
    if (a->kind == GRAFT_POOL_MAX) GRAFT_TRY(check_shape("x", a->x, same(a->dx), rows(a->dx), cols(a->dx)));
    if (elements(a->dx) == 0 || rows(a->dy) == 0) return nullptr;
    GRAFT_BY_TYPE(a->dx, T, GRAFT_LAUNCH((backward<T>), grid(rows(a->dy), cols(a->dx)), dim3(kThreads), 0, c->stream,
                                         view<T>(a->dx), view<const T>(a->dy), view<const T>(a->x), data<int32_t>(a->cu), a->kind));
    return launched();
}

}  // namespace graft::cuda

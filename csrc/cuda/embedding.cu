// embedding: a gather. Its backward pass adds rows of one token in the order in
// which they stand, without sorting: the block of the first place of an id owns
// the row of the table, the blocks of its other places leave at once.
#include "context.cuh"

namespace graft::cuda {
namespace {

template <class T, class W> struct Gather {
    Matrix<T> y;
    Matrix<const W> table;
    const int32_t* ids;
    __device__ void operator()(int64_t row, int64_t col) const {
        const int64_t id = ids[row];
        store(y.row(row) + col, id >= 0 && id < table.rows ? widen(table.row(id)[col]) : 0.0f);
    }
};

template <class T>
__global__ void __launch_bounds__(kThreads) scatter_add(Matrix<float> table, Matrix<const T> dy, const int32_t* ids) {
    GRAFT_SHARED(int, found, kThreads);
    GRAFT_SHARED(int, counts, kThreads / 32);
    const int64_t first = blockIdx.x;
    const int32_t id = ids[first];
    if (id < 0 || id >= table.rows) return;
    bool earlier = false;
    for (int64_t t = threadIdx.x; t < first; t += kThreads) earlier |= ids[t] == id;
    if (__syncthreads_or(earlier)) return;

    float* row = table.row(id);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int64_t start = first; start < dy.rows; start += kThreads) {
        const int64_t t = start + threadIdx.x;
        const unsigned votes = __ballot_sync(kFullMask, t < dy.rows && ids[t] == id);
        if (lane == 0) counts[warp] = __popc(votes);
        __syncthreads();
        int before = 0, total = 0;
        for (int w = 0; w < kThreads / 32; ++w) {
            before += w < warp ? counts[w] : 0;
            total += counts[w];
        }
        if (votes >> lane & 1) found[before + __popc(votes & ((1u << lane) - 1))] = int(threadIdx.x);
        __syncthreads();
        for (int64_t c = threadIdx.x; total > 0 && c < table.cols; c += kThreads) {
            float sum = row[c];
            for (int i = 0; i < total; ++i) sum += widen(dy.row(start + found[i])[c]);
            row[c] = sum;
        }
        __syncthreads();  // found and counts may be written again
    }
}

}  // namespace

graft_status* embedding(graft_context* c, const graft_embedding_args* a) {
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    GRAFT_TRY(check_shape("table", a->table, same(a->y) | kF32, -1, cols(a->y)));
    GRAFT_TRY(check_flat("ids", a->ids, kI32, rows(a->y)));
    const int32_t* ids = data<int32_t>(a->ids);
    GRAFT_BY_TYPE(a->y, T, {
        if (a->table.dtype == GRAFT_F32)
            for_each<1>(c, Gather<T, float>{view<T>(a->y), view<const float>(a->table), ids}, rows(a->y), cols(a->y));
        else
            for_each<1>(c, Gather<T, T>{view<T>(a->y), view<const T>(a->table), ids}, rows(a->y), cols(a->y));
    });
    return launched();
}

graft_status* embedding_backward(graft_context* c, const graft_embedding_backward_args* a) {
    GRAFT_TRY(check_shape("dtable", a->dtable, kF32, -1, -1));
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, cols(a->dtable)));
    GRAFT_TRY(check_flat("ids", a->ids, kI32, rows(a->dy)));
    if (elements(a->dy) == 0) return nullptr;
    GRAFT_BY_TYPE(a->dy, T,
                  GRAFT_LAUNCH((scatter_add<T>), dim3(unsigned(rows(a->dy))), dim3(kThreads), 0, c->stream,
                               view<float>(a->dtable), view<const T>(a->dy), data<int32_t>(a->ids)));
    return launched();
}

}  // namespace graft::cuda

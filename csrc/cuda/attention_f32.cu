// Attention in float32: plain FMA, so that float32 is float32. A block owns a few
// rows for one head and walks over the other side in tiles of 32, one lane each.
#include "attention.cuh"

namespace graft::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kBlock = 32 * kWarps;
constexpr int kTile = 32;  // rows of the other side, one a lane

// Rows [first, first + count) of one head into shared memory, zeros from `last` on.
__device__ inline void load_rows(float* to, int pitch, Matrix<const float> from, int first, int last, int count, int head, int dim) {
    for (int i = threadIdx.x; i < count * dim; i += kBlock) {
        const int row = i / dim, d = i % dim;
        to[row * pitch + d] = first + row < last ? from.row(first + row)[int64_t(head) * dim + d] : 0.0f;
    }
}
__device__ inline float dot(const float* a, const float* b, int dim) {
    float sum = 0.0f;
#pragma unroll 4
    for (int d = 0; d < dim; ++d) sum += a[d] * b[d];
    return sum;
}
// sum[r][i] += weights[r][j] * rows[j][lane + 32 i] over the tile; weights [R, kTile].
template <int R, int N> __device__ inline void add_rows(float (&sum)[R][N], const float* weights, const float* rows, int pitch, int dim) {
    const int lane = threadIdx.x % 32;
#pragma unroll 2
    for (int j = 0; j < kTile; ++j)
#pragma unroll
        for (int i = 0; i < N; ++i) {
            const float value = lane + 32 * i < dim ? rows[j * pitch + lane + 32 * i] : 0.0f;
#pragma unroll
            for (int r = 0; r < R; ++r) sum[r][i] += weights[r * kTile + j] * value;
        }
}

// Query rows of one head. Backward = false: o and lse; true: dq from d_o, lse, delta.
template <int D, int Rows, bool Backward>
__global__ void __launch_bounds__(kBlock, 4)
query_rows(Attention<float> p, Matrix<float> out, float* lse, Matrix<const float> d_o, const float* delta) {
    constexpr int kRows = Rows / kWarps, N = D / 32;
    GRAFT_DYNAMIC_SHARED(shared);
    const int dim = p.dim, pitch = dim + 1, head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* q = reinterpret_cast<float*>(shared);
    float* dy = q + Rows * dim;
    float* k = dy + (Backward ? Rows * dim : 0);
    float* v = k + kTile * pitch;
    float* weights = v + kTile * pitch;
    const int row0 = blockIdx.x * Rows, total = int(p.q.rows), end = row0 + Rows < total ? row0 + Rows : total;
    load_rows(q, dim, p.q, row0, total, Rows, head, dim);
    if (Backward) load_rows(dy, dim, d_o, row0, total, Rows, head, dim);

    float sum[kRows][N] = {}, top[kRows], mass[kRows];  // mass: this lane's part
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        top[r] = -INFINITY;
        mass[r] = 0.0f;
    }
    KeyTile tile;
    for (KeyWalk<float, kTile> walk(p, row0, end); walk.next(&tile);) {
        __syncthreads();  // the tile before is no longer read
        load_rows(k, pitch, either(tile.all, p.pk, p.k), tile.row, tile.row + tile.count, kTile, kv_head, dim);
        load_rows(v, pitch, either(tile.all, p.pv, p.v), tile.row, tile.row + tile.count, kTile, kv_head, dim);
        __syncthreads();
        float* own = weights + warp * kRows * kTile;
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const int local = warp * kRows + r, row = row0 + local;
            const bool inside = row >= tile.s.first && row < tile.s.last;  // the same for all lanes
            const bool visible = inside && lane < tile.count && (tile.all || sees(p, tile.s.place(row), tile.key + lane));
            float slope, weight = 0.0f;
            const float z = inside ? score(p, dot(q + local * dim, k + lane * pitch, dim), &slope) : 0.0f;
            if (Backward && visible) {
                const int64_t at = int64_t(row) * p.heads + head;
                weight = expf(z - lse[at]) * (dot(dy + local * dim, v + lane * pitch, dim) - delta[at]) * slope;
            }
            if (!Backward) {
                const float next = fmaxf(top[r], warp_max(visible ? z : -INFINITY));
                const float base = next == -INFINITY ? 0.0f : next;  // nothing seen yet: all weights are 0
                const float shrink = expf(top[r] - base);
                weight = visible ? expf(z - base) : 0.0f;
                top[r] = next;
                mass[r] = mass[r] * shrink + weight;
#pragma unroll
                for (int i = 0; i < N; ++i) sum[r][i] *= shrink;
            }
            own[r * kTile + lane] = weight;
        }
        __syncwarp();
        add_rows(sum, own, Backward ? k : v, pitch, dim);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        const int row = row0 + warp * kRows + r;
        if (row >= total) continue;
        float scale = 1.0f;
        if (!Backward) {
            const float whole = warp_sum(mass[r]);
            scale = whole > 0.0f ? 1.0f / whole : 0.0f;
            if (lane == 0) lse[int64_t(row) * p.heads + head] = top[r] + logf(whole);
        }
#pragma unroll
        for (int i = 0; i < N; ++i)
            if (lane + 32 * i < dim) out.row(row)[int64_t(head) * dim + lane + 32 * i] = sum[r][i] * scale;
    }
}

// Key rows of one key head: dk and dv from all its query heads. With prefix the
// rows are those of the prefix, and their gradients are added.
template <int D, int Rows>
__global__ void __launch_bounds__(kBlock, 4)
key_rows(Attention<float> p, Matrix<float> dk, Matrix<float> dv, Matrix<const float> d_o, const float* lse, const float* delta, bool prefix) {
    constexpr int kRows = Rows / kWarps, N = D / 32;
    GRAFT_DYNAMIC_SHARED(shared);
    const int dim = p.dim, pitch = dim + 1, kv_head = blockIdx.y;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* k = reinterpret_cast<float*>(shared);
    float* v = k + Rows * dim;
    float* q = v + Rows * dim;
    float* dy = q + kTile * pitch;
    float* ds = dy + kTile * pitch;
    float* weights = ds + Rows * kTile;
    const int row0 = blockIdx.x * Rows, total = int(prefix ? p.pk.rows : p.k.rows);
    const int end = row0 + Rows < total ? row0 + Rows : total;
    load_rows(k, dim, either(prefix, p.pk, p.k), row0, total, Rows, kv_head, dim);
    load_rows(v, dim, either(prefix, p.pv, p.v), row0, total, Rows, kv_head, dim);

    float sum_k[kRows][N] = {}, sum_v[kRows][N] = {};
    QueryTile tile;
    for (QueryWalk<float, kTile> walk(p, kv_head, row0, end, prefix); walk.next(&tile);) {
        __syncthreads();  // the tile before is no longer read
        load_rows(q, pitch, p.q, tile.row, tile.row + tile.count, kTile, tile.head, dim);
        load_rows(dy, pitch, d_o, tile.row, tile.row + tile.count, kTile, tile.head, dim);
        __syncthreads();
        const int own = warp * kRows * kTile;
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const int local = warp * kRows + r, key = row0 + local, row = tile.row + lane;
            const bool inside = key < end && (prefix || (key >= tile.s.first && key < tile.s.last));
            float weight = 0.0f, d = 0.0f;
            if (inside && lane < tile.count && (prefix || sees(p, row - tile.s.first, key - tile.s.first))) {
                const int64_t at = int64_t(row) * p.heads + tile.head;
                float slope;
                const float z = score(p, dot(q + lane * pitch, k + local * dim, dim), &slope);
                weight = expf(z - lse[at]);
                d = weight * (dot(dy + lane * pitch, v + local * dim, dim) - delta[at]) * slope;
            }
            weights[own + r * kTile + lane] = weight;
            ds[own + r * kTile + lane] = d;
        }
        __syncwarp();
        add_rows(sum_k, ds + own, q, pitch, dim);
        add_rows(sum_v, weights + own, dy, pitch, dim);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        const int row = row0 + warp * kRows + r;
        if (row >= end) continue;
#pragma unroll
        for (int i = 0; i < N; ++i) {
            const int d = lane + 32 * i;
            if (d >= dim) continue;
            float* to_k = dk.row(row) + int64_t(kv_head) * dim + d;
            float* to_v = dv.row(row) + int64_t(kv_head) * dim + d;
            *to_k = prefix ? *to_k + sum_k[r][i] : sum_k[r][i];
            *to_v = prefix ? *to_v + sum_v[r][i] : sum_v[r][i];
        }
    }
}

template <int D, int Rows> graft_status* forward(graft_context* c, const Attention<float>& p, const graft_attention_args* a) {
    const size_t bytes = sizeof(float) * (Rows * p.dim + 2 * kTile * (p.dim + 1) + Rows * kTile);
    const auto kernel = query_rows<D, Rows, false>;
    GRAFT_TRY(allow_shared(kernel, bytes));
    GRAFT_LAUNCH(kernel, dim3(unsigned(ceil_div(p.q.rows, Rows)), unsigned(p.heads)), dim3(kBlock), bytes, c->stream, p,
                 view<float>(a->o), data<float>(a->lse), (Matrix<const float>{}), nullptr);
    return launched();
}

template <int D, int Rows>
graft_status* backward(graft_context* c, const Attention<float>& p, const graft_attention_backward_args* a, const float* delta) {
    const Matrix<const float> d_o = view<const float>(a->d_o);
    float* lse = data<float>(a->lse);
    const size_t bytes = sizeof(float) * (2 * Rows * p.dim + 2 * kTile * (p.dim + 1) + 2 * Rows * kTile);
    const auto of_queries = query_rows<D, Rows, true>;
    const auto of_keys = key_rows<D, Rows>;
    GRAFT_TRY(allow_shared(of_queries, bytes));
    GRAFT_TRY(allow_shared(of_keys, bytes));
    GRAFT_LAUNCH(of_queries, dim3(unsigned(ceil_div(p.q.rows, Rows)), unsigned(p.heads)), dim3(kBlock), bytes, c->stream, p,
                 view<float>(a->dq), lse, d_o, delta);
    GRAFT_LAUNCH(of_keys, dim3(unsigned(ceil_div(p.k.rows, Rows)), unsigned(p.kv_heads)), dim3(kBlock), bytes, c->stream, p,
                 view<float>(a->dk), view<float>(a->dv), d_o, lse, delta, false);
    if (given(a->dpk) && p.prefix > 0)
        GRAFT_LAUNCH(of_keys, dim3(unsigned(ceil_div(p.prefix, Rows)), unsigned(p.kv_heads)), dim3(kBlock), bytes, c->stream, p,
                     view<float>(a->dpk), view<float>(a->dpv), d_o, lse, delta, true);
    return launched();
}

}  // namespace

graft_status* attention_f32(graft_context* c, const Attention<float>& p, const graft_attention_args* a) {
    return p.dim <= 128 ? forward<128, 16>(c, p, a) : forward<256, 8>(c, p, a);
}

graft_status* attention_f32_backward(graft_context* c, const Attention<float>& p, const graft_attention_backward_args* a,
                                     const float* delta) {
    return p.dim <= 128 ? backward<128, 16>(c, p, a, delta) : backward<256, 8>(c, p, a, delta);
}

}  // namespace graft::cuda

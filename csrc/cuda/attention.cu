// Attention over a flat list of tokens, forward and backward, after
// FlashAttention (Dao et al., arXiv 2205.14135): scores exist a tile at a time,
// softmax is renormalised as tiles come, the backward pass recomputes them.
//
// A block owns a few rows of its output for one head and walks over the other
// side in tiles of 32, one lane each; sums are float32. The backward pass has
// one kernel that owns query rows and one that owns key rows, so nothing is
// added by two blocks and the order is fixed, at the price of computing the
// scores twice. The prefix is walked like keys that every query sees.
#include "context.cuh"

namespace graft::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kBlock = 32 * kWarps;
constexpr int kTile = 32;  // rows of the other side, one a lane

template <class T> struct Problem {
    Matrix<const T> q, k, v, pk, pv;
    const int32_t *cu, *keys;
    int sequences, heads, kv_heads, dim, window;
    int64_t prefix;
    float scale, cap;
    bool causal;
};

// One sequence: query rows [first, last), whose keys are the rows from `start`.
struct Sequence {
    int64_t first, last, start, keys;
    // Of a query row among the keys.
    __device__ int64_t place(int64_t row) const { return keys - (last - row); }
};
template <class T> __device__ inline Sequence sequence(const Problem<T>& p, int s) {
    const int64_t first = p.cu[s], last = p.cu[s + 1];
    if (p.keys) return {first, last, p.keys[2 * s], p.keys[2 * s + 1]};
    return {first, last, first, last - first};
}
// The first sequence that ends after a row.
template <class T> __device__ inline int first_sequence(const Problem<T>& p, int64_t row) {
    int low = 0, high = p.sequences;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (p.cu[middle + 1] > row) high = middle;
        else low = middle + 1;
    }
    return low;
}
template <class T> __device__ inline bool sees(const Problem<T>& p, int64_t place, int64_t key) {
    return (!p.causal || key <= place) && (p.window <= 0 || key > place - p.window);
}

// The capped score of a product, and its slope.
template <class T> __device__ inline float score(const Problem<T>& p, float product, float* slope) {
    const float z = p.scale * product;
    if (p.cap <= 0.0f) {
        *slope = p.scale;
        return z;
    }
    const float t = tanhf(z / p.cap);
    *slope = p.scale * (1.0f - t * t);
    return p.cap * t;
}

// Rows [first, first + count) of one head into shared memory as float32, zeros
// where there is no row.
template <class T>
__device__ inline void load_rows(float* to, int pitch, Matrix<const T> from, int64_t first, int64_t last, int count, int head, int dim) {
    for (int i = threadIdx.x; i < count * dim; i += kBlock) {
        const int row = i / dim, d = i % dim;
        to[row * pitch + d] = first + row < last ? widen(from.row(first + row)[int64_t(head) * dim + d]) : 0.0f;
    }
}
__device__ inline float dot(const float* a, const float* b, int dim) {
    float sum = 0.0f;
#pragma unroll 4
    for (int d = 0; d < dim; ++d) sum += a[d] * b[d];
    return sum;
}
// sum[i] += weights[j] * rows[j][lane + 32 i] over the tile.
template <int N> __device__ inline void add_rows(float (&sum)[N], const float* weights, const float* rows, int pitch, int dim) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < N; ++i) {
        const int d = lane + 32 * i;
        if (d >= dim) continue;
        float s = sum[i];
#pragma unroll 4
        for (int j = 0; j < kTile; ++j) s += weights[j] * rows[j * pitch + d];
        sum[i] = s;
    }
}

// Query rows of one head. Backward = false: o and lse; true: dq from d_o, lse, delta.
template <class T, int D, int Rows, bool Backward>
__global__ void __launch_bounds__(kBlock)
query_rows(Problem<T> p, Matrix<T> out, float* lse, Matrix<const T> d_o, const float* delta) {
    constexpr int kRows = Rows / kWarps, N = D / 32;
    GRAFT_DYNAMIC_SHARED(shared);
    const int dim = p.dim, pitch = dim + 1, head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* q = reinterpret_cast<float*>(shared);
    float* dy = q + Rows * dim;
    float* k = dy + (Backward ? Rows * dim : 0);
    float* v = k + kTile * pitch;
    float* weights = v + kTile * pitch;
    const int64_t row0 = int64_t(blockIdx.x) * Rows, total = p.q.rows;
    load_rows(q, dim, p.q, row0, total, Rows, head, dim);
    if (Backward) load_rows(dy, dim, d_o, row0, total, Rows, head, dim);

    float sum[kRows][N] = {}, top[kRows], mass[kRows];  // mass: this lane's part
    for (int r = 0; r < kRows; ++r) {
        top[r] = -INFINITY;
        mass[r] = 0.0f;
    }
    auto visit = [&](const Sequence& s, Matrix<const T> keys, Matrix<const T> values, int64_t start, int64_t first, int64_t last, bool all) {
        for (int64_t j0 = first; j0 < last; j0 += kTile) {
            __syncthreads();  // the tile before is no longer read
            load_rows(k, pitch, keys, start + j0, start + last, kTile, kv_head, dim);
            load_rows(v, pitch, values, start + j0, start + last, kTile, kv_head, dim);
            __syncthreads();
            for (int r = 0; r < kRows; ++r) {
                const int local = warp * kRows + r;
                const int64_t row = row0 + local, key = j0 + lane;
                if (row < s.first || row >= s.last) continue;
                const bool visible = key < last && (all || sees(p, s.place(row), key));
                float slope;
                const float z = score(p, dot(q + local * dim, k + lane * pitch, dim), &slope);
                float* w = weights + local * kTile;
                if (Backward) {
                    const int64_t at = row * p.heads + head;
                    const float dp = dot(dy + local * dim, v + lane * pitch, dim);
                    w[lane] = visible ? expf(z - lse[at]) * (dp - delta[at]) * slope : 0.0f;
                    __syncwarp();
                    add_rows(sum[r], w, k, pitch, dim);
                } else {
                    const float next = fmaxf(top[r], warp_max(visible ? z : -INFINITY));
                    if (next == -INFINITY) continue;  // nothing seen yet; the same for all lanes
                    const float shrink = expf(top[r] - next), weight = visible ? expf(z - next) : 0.0f;
                    top[r] = next;
                    mass[r] = mass[r] * shrink + weight;
                    w[lane] = weight;
                    for (int i = 0; i < N; ++i) sum[r][i] *= shrink;
                    __syncwarp();
                    add_rows(sum[r], w, v, pitch, dim);
                }
                __syncwarp();  // the weights may be written again
            }
        }
    };
    const int64_t end = row0 + Rows < total ? row0 + Rows : total;
    for (int n = first_sequence(p, row0); n < p.sequences; ++n) {
        const Sequence s = sequence(p, n);
        if (s.first >= end) break;
        const int64_t first = s.first > row0 ? s.first : row0, last = s.last < end ? s.last : end;
        if (first >= last) continue;
        visit(s, p.pk, p.pv, 0, 0, p.prefix, true);
        int64_t low = p.window > 0 ? s.place(first) - p.window + 1 : 0, high = p.causal ? s.place(last - 1) + 1 : s.keys;
        if (low < 0) low = 0;
        if (high > s.keys) high = s.keys;
        visit(s, p.k, p.v, s.start, low, high, false);
    }
    for (int r = 0; r < kRows; ++r) {
        const int64_t row = row0 + warp * kRows + r;
        if (row >= total) continue;
        float scale = 1.0f;
        if (!Backward) {
            const float whole = warp_sum(mass[r]);
            scale = whole > 0.0f ? 1.0f / whole : 0.0f;
            if (lane == 0) lse[row * p.heads + head] = top[r] + logf(whole);
        }
        for (int i = 0; i < N; ++i)
            if (lane + 32 * i < dim) store(out.row(row) + int64_t(head) * dim + lane + 32 * i, sum[r][i] * scale);
    }
}

// Key rows of one key head: dk and dv from all its query heads. Prefix: the rows
// of the prefix, seen by every query, added to float32 gradients.
template <class T, int D, int Rows, bool Prefix, class Output>
__global__ void __launch_bounds__(kBlock)
key_rows(Problem<T> p, Matrix<Output> dk, Matrix<Output> dv, Matrix<const T> d_o, const float* lse, const float* delta) {
    constexpr int kRows = Rows / kWarps, N = D / 32;
    GRAFT_DYNAMIC_SHARED(shared);
    const int dim = p.dim, pitch = dim + 1, kv_head = blockIdx.y, group = p.heads / p.kv_heads;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* k = reinterpret_cast<float*>(shared);
    float* v = k + Rows * dim;
    float* q = v + Rows * dim;
    float* dy = q + kTile * pitch;
    float* ds = dy + kTile * pitch;
    float* weights = ds + Rows * kTile;
    const Matrix<const T> keys = Prefix ? p.pk : p.k, values = Prefix ? p.pv : p.v;
    const int64_t row0 = int64_t(blockIdx.x) * Rows, total = keys.rows;
    const int64_t end = row0 + Rows < total ? row0 + Rows : total;
    load_rows(k, dim, keys, row0, total, Rows, kv_head, dim);
    load_rows(v, dim, values, row0, total, Rows, kv_head, dim);

    float sum_k[kRows][N] = {}, sum_v[kRows][N] = {};
    // Queries [first, last) of sequence s.
    auto visit = [&](const Sequence& s, int64_t first, int64_t last) {
        for (int h = kv_head * group; h < (kv_head + 1) * group; ++h)
            for (int64_t i0 = first; i0 < last; i0 += kTile) {
                __syncthreads();  // the tile before is no longer read
                load_rows(q, pitch, p.q, i0, last, kTile, h, dim);
                load_rows(dy, pitch, d_o, i0, last, kTile, h, dim);
                __syncthreads();
                for (int r = 0; r < kRows; ++r) {
                    const int local = warp * kRows + r;
                    const int64_t key = row0 + local, row = i0 + lane;
                    if (key >= end || (!Prefix && (key < s.first || key >= s.last))) continue;
                    float weight = 0.0f, d = 0.0f;
                    if (row < last && (Prefix || sees(p, row - s.first, key - s.first))) {
                        float slope;
                        const float z = score(p, dot(q + lane * pitch, k + local * dim, dim), &slope);
                        weight = expf(z - lse[row * p.heads + h]);
                        d = weight * (dot(dy + lane * pitch, v + local * dim, dim) - delta[row * p.heads + h]) * slope;
                    }
                    weights[local * kTile + lane] = weight;
                    ds[local * kTile + lane] = d;
                    __syncwarp();
                    add_rows(sum_k[r], ds + local * kTile, q, pitch, dim);
                    add_rows(sum_v[r], weights + local * kTile, dy, pitch, dim);
                    __syncwarp();  // the weights may be written again
                }
            }
    };
    if (Prefix) {
        visit({0, p.q.rows, 0, 0}, 0, p.q.rows);
    } else {
        for (int n = first_sequence(p, row0); n < p.sequences; ++n) {
            const Sequence s = sequence(p, n);
            if (s.first >= end) break;
            const int64_t first = s.first > row0 ? s.first : row0, last = s.last < end ? s.last : end;
            if (first >= last) continue;
            const int64_t reach = last - 1 + p.window;
            visit(s, p.causal ? first : s.first, p.window > 0 && reach < s.last ? reach : s.last);
        }
    }
    for (int r = 0; r < kRows; ++r) {
        const int64_t row = row0 + warp * kRows + r;
        if (row >= end) continue;
        for (int i = 0; i < N; ++i) {
            const int d = lane + 32 * i;
            if (d >= dim) continue;
            Output* to_k = dk.row(row) + int64_t(kv_head) * dim + d;
            Output* to_v = dv.row(row) + int64_t(kv_head) * dim + d;
            store(to_k, Prefix ? widen(*to_k) + sum_k[r][i] : sum_k[r][i]);
            store(to_v, Prefix ? widen(*to_v) + sum_v[r][i] : sum_v[r][i]);
        }
    }
}

template <class T> struct Delta {
    float* delta;
    Matrix<const T> d_o, o;
    int dim;
    __device__ void operator()(int64_t row, int64_t head) const {
        float sum = 0.0f;
        for (int d = 0; d < dim; ++d) sum += widen(d_o.row(row)[head * dim + d]) * widen(o.row(row)[head * dim + d]);
        delta[row * (o.cols / dim) + head] = sum;
    }
};

template <class T, class Args> Problem<T> problem(const Args* a) {
    Problem<T> p{view<const T>(a->q), view<const T>(a->k), view<const T>(a->v), view<const T>(a->prefix_k),
                 view<const T>(a->prefix_v), data<int32_t>(a->cu), nullptr, int(elements(a->cu)) - 1, int(a->heads),
                 int(a->kv_heads), int(a->dim), int(a->window), given(a->prefix_k) ? rows(a->prefix_k) : 0, a->scale,
                 a->soft_cap, a->causal != 0};
    return p;
}

template <class Kernel> graft_status* allow(Kernel* kernel, size_t bytes) {
    return check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)), "shared memory");
}

template <class T, int D, int Rows> graft_status* forward(graft_context* c, const graft_attention_args* a) {
    Problem<T> p = problem<T>(a);
    p.keys = data<int32_t>(a->keys);
    const size_t bytes = sizeof(float) * (Rows * a->dim + 2 * kTile * (a->dim + 1) + Rows * kTile);
    const auto kernel = query_rows<T, D, Rows, false>;
    GRAFT_TRY(allow(kernel, bytes));
    GRAFT_LAUNCH(kernel, dim3(unsigned(ceil_div(rows(a->q), Rows)), unsigned(a->heads)), dim3(kBlock), bytes, c->stream, p,
                 view<T>(a->o), data<float>(a->lse), (Matrix<const T>{}), nullptr);
    return launched();
}

template <class T, int D, int Rows> graft_status* backward(graft_context* c, const graft_attention_backward_args* a) {
    const Problem<T> p = problem<T>(a);
    Carver scratch(a->scratch);
    float* delta = scratch.take<float>(rows(a->q) * a->heads);
    GRAFT_TRY(scratch.check("scratch"));
    const Matrix<const T> d_o = view<const T>(a->d_o);
    float* lse = data<float>(a->lse);
    for_each<1>(c, Delta<T>{delta, d_o, view<const T>(a->o), int(a->dim)}, rows(a->q), a->heads);

    const size_t bytes = sizeof(float) * (2 * Rows * a->dim + 2 * kTile * (a->dim + 1) + 2 * Rows * kTile);
    const auto of_queries = query_rows<T, D, Rows, true>;
    GRAFT_TRY(allow(of_queries, bytes));
    GRAFT_LAUNCH(of_queries, dim3(unsigned(ceil_div(rows(a->q), Rows)), unsigned(a->heads)), dim3(kBlock), bytes, c->stream, p,
                 view<T>(a->dq), lse, d_o, delta);
    const auto of_keys = key_rows<T, D, Rows, false, T>;
    GRAFT_TRY(allow(of_keys, bytes));
    GRAFT_LAUNCH(of_keys, dim3(unsigned(ceil_div(rows(a->k), Rows)), unsigned(a->kv_heads)), dim3(kBlock), bytes, c->stream, p,
                 view<T>(a->dk), view<T>(a->dv), d_o, lse, delta);
    if (!given(a->dpk)) return launched();
    const auto of_prefix = key_rows<T, D, Rows, true, float>;
    GRAFT_TRY(allow(of_prefix, bytes));
    GRAFT_LAUNCH(of_prefix, dim3(unsigned(ceil_div(p.prefix, Rows)), unsigned(a->kv_heads)), dim3(kBlock), bytes, c->stream, p,
                 view<float>(a->dpk), view<float>(a->dpv), d_o, lse, delta);
    return launched();
}

template <class Args> graft_status* check_inputs(const Args* a) {
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads || a->dim < 1)
        return error(GRAFT_INVALID_ARGUMENT, "%lld heads over %lld of %lld", (long long)a->heads, (long long)a->kv_heads,
                     (long long)a->dim);
    if (a->dim > 256) return error(GRAFT_UNIMPLEMENTED, "head dimension %lld: at most 256", (long long)a->dim);
    GRAFT_TRY(check_shape("q", a->q, kFloat, -1, a->heads * a->dim));
    GRAFT_TRY(check_shape("k", a->k, same(a->q), -1, a->kv_heads * a->dim));
    GRAFT_TRY(check_shape("v", a->v, same(a->q), rows(a->k), a->kv_heads * a->dim));
    GRAFT_TRY(check_optional("prefix_k", a->prefix_k, same(a->q), -1, a->kv_heads * a->dim));
    GRAFT_TRY(check_optional("prefix_v", a->prefix_v, same(a->q), rows(a->prefix_k), a->kv_heads * a->dim));
    if (given(a->prefix_k) != given(a->prefix_v)) return error(GRAFT_INVALID_ARGUMENT, "prefix_k and prefix_v go together");
    GRAFT_TRY(check_flat("cu", a->cu, kI32, -1));
    if (elements(a->cu) < (rows(a->q) > 0 ? 2 : 1))
        return error(GRAFT_INVALID_ARGUMENT, "cu has %lld boundaries", (long long)elements(a->cu));
    return nullptr;
}

}  // namespace

graft_status* attention(graft_context* c, const graft_attention_args* a) {
    GRAFT_TRY(check_inputs(a));
    GRAFT_TRY(check_shape("o", a->o, same(a->q), rows(a->q), a->heads * a->dim));
    GRAFT_TRY(check_flat("lse", a->lse, kF32, rows(a->q) * a->heads));
    if (given(a->keys)) GRAFT_TRY(check_flat("keys", a->keys, kI32, 2 * (elements(a->cu) - 1)));
    else if (rows(a->k) != rows(a->q)) return error(GRAFT_INVALID_ARGUMENT, "k has %lld rows, q %lld", (long long)rows(a->k), (long long)rows(a->q));
    if (rows(a->q) == 0) return nullptr;
    GRAFT_BY_TYPE(a->q, T, return a->dim <= 128 ? forward<T, 128, 16>(c, a) : forward<T, 256, 8>(c, a));
    return nullptr;
}

graft_status* attention_backward(graft_context* c, const graft_attention_backward_args* a) {
    GRAFT_TRY(check_inputs(a));
    const int64_t t = rows(a->q), wide = a->heads * a->dim, narrow = a->kv_heads * a->dim;
    GRAFT_TRY(check_shape("k", a->k, same(a->q), t, narrow));
    GRAFT_TRY(check_shape("do", a->d_o, same(a->q), t, wide));
    GRAFT_TRY(check_shape("o", a->o, same(a->q), t, wide));
    GRAFT_TRY(check_shape("dq", a->dq, same(a->q), t, wide));
    GRAFT_TRY(check_shape("dk", a->dk, same(a->q), t, narrow));
    GRAFT_TRY(check_shape("dv", a->dv, same(a->q), t, narrow));
    GRAFT_TRY(check_flat("lse", a->lse, kF32, t * a->heads));
    GRAFT_TRY(check_optional("dpk", a->dpk, kF32, rows(a->prefix_k), narrow));
    GRAFT_TRY(check_optional("dpv", a->dpv, kF32, rows(a->prefix_k), narrow));
    if (given(a->dpk) != given(a->dpv)) return error(GRAFT_INVALID_ARGUMENT, "dpk and dpv go together");
    if (t == 0) return nullptr;
    GRAFT_BY_TYPE(a->q, T, return a->dim <= 128 ? backward<T, 128, 16>(c, a) : backward<T, 256, 8>(c, a));
    return nullptr;
}

}  // namespace graft::cuda

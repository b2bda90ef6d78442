// The products of attention on bf16 with vdpbf16ps, which multiplies pairs of
// neighbours in the contraction and sums them in f32: 32-bit units, the lower
// half first. Rows of queries and keys are such units as they lie in memory; weights and
// their gradients are rounded to bf16 between two products, as in
// FlashAttention.
#include "attention_softmax.h"

namespace graft::cpu {

#if !defined(__x86_64__)

void use_bf16_products(AttentionKernels*) {}

#else

namespace {

#define FAST __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))
#define INLINE FAST inline __attribute__((always_inline))

using avx512::F;
using avx512::kLanes;
using avx512::U;

INLINE U load_units(const uint32_t* p) {
    U u;
    std::memcpy(&u, p, sizeof u);
    return u;
}
INLINE void store_units(uint32_t* p, U u) { std::memcpy(p, &u, sizeof u); }
INLINE U broadcast(const uint32_t* p) {
    uint32_t u;
    std::memcpy(&u, p, 4);
    return U(_mm512_set1_epi32(int(u)));
}
// n elements of bf16 in the lower halves.
INLINE U low_halves(const bf16* p, int64_t n) {
    if (n >= kLanes) return U(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
    return U(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p)));
}
INLINE __m256i narrow(F x) { return __m256i(_mm512_cvtneps_pbh(__m512(x))); }
INLINE U pair(F even, F odd) {
    return U(_mm512_cvtepu16_epi32(narrow(even))) | (U(_mm512_cvtepu16_epi32(narrow(odd))) << 16);
}

// c[i][j] += sum over u of a[i a_row + u a_step] · b[u ldb + j].
template <int R, int C>
INLINE void tile(float* c, int64_t ldc, const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b, int64_t ldb,
                 int64_t units) {
    F sum[R][C];
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) sum[i][j] = avx512::load(c + i * ldc + j * kLanes);
    for (int64_t u = 0; u < units; u++, a += a_step, b += ldb) {
        U right[C];
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) right[j] = load_units(b + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
            const U left = broadcast(a + i * a_row);
#pragma GCC unroll 4
            for (int j = 0; j < C; j++)
                sum[i][j] = F(_mm512_dpbf16_ps(__m512(sum[i][j]), __m512bh(left), __m512bh(right[j])));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) avx512::store(c + i * ldc + j * kLanes, sum[i][j]);
}
template <int C>
INLINE void product_columns(float* c, int64_t ldc, const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b,
                            int64_t ldb, int64_t m, int64_t units) {
    int64_t i = 0;
    for (; i + 6 <= m; i += 6) tile<6, C>(c + i * ldc, ldc, a + i * a_row, a_row, a_step, b, ldb, units);
    for (; i + 2 <= m; i += 2) tile<2, C>(c + i * ldc, ldc, a + i * a_row, a_row, a_step, b, ldb, units);
    if (i < m) tile<1, C>(c + i * ldc, ldc, a + i * a_row, a_row, a_step, b, ldb, units);
}
FAST void product(float* c, int64_t ldc, const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b, int64_t ldb,
                  int64_t m, int64_t n, int64_t units) {
    int64_t j = 0;
    for (; j + 4 * kLanes <= n; j += 4 * kLanes) product_columns<4>(c + j, ldc, a, a_row, a_step, b + j, ldb, m, units);
    for (; j + 2 * kLanes <= n; j += 2 * kLanes) product_columns<2>(c + j, ldc, a, a_row, a_step, b + j, ldb, m, units);
    if (j < n) product_columns<1>(c + j, ldc, a, a_row, a_step, b + j, ldb, m, units);
}

uint32_t* units(float* p) { return reinterpret_cast<uint32_t*>(p); }

const bf16* row_of(const graft_tensor& t, int64_t row, int64_t head, int64_t dim) {
    return static_cast<const bf16*>(t.data) + row * t.pitch + head * dim;
}

// One row of dim/2 units as a column of to.
FAST void transpose(uint32_t* to, int64_t ld, const bf16* from, int64_t dim) {
    for (int64_t u = 0; u < dim / 2; u++) std::memcpy(to + u * ld, from + 2 * u, 4);
}
// Two rows as one row of units, zeros up to the padded width; odd may be NULL.
FAST void interleave(uint32_t* to, const bf16* even, const bf16* odd, int64_t dim, int64_t padded) {
    for (int64_t d = 0; d < padded; d += kLanes) {
        U u = {};
        if (d < dim) u = low_halves(even + d, dim - d);
        if (d < dim && odd) u |= low_halves(odd + d, dim - d) << 16;
        store_units(to + d, u);
    }
}
FAST void interleave_keys(uint32_t* to, const graft_tensor& t, const AttentionShape& a, const KeyBlock& keys, int64_t kv_head) {
    for (int64_t j = 0; j < keys.count; j += 2)
        interleave(to + j / 2 * a.padded, row_of(t, keys.first + keys.begin + j, kv_head, a.dim),
                   j + 1 < keys.count ? row_of(t, keys.first + keys.begin + j + 1, kv_head, a.dim) : nullptr, a.dim, a.padded);
}

// ---- Forward. q: units [dim/2][kQueryRows]; v: units [kKeyBlock/2][padded]; p: units [kKeyBlock/2][kQueryRows].

FAST void start(const AttentionBuffers& b, const AttentionShape& a, const graft_tensor& q, const QueryBlock& block,
                int64_t kv_head) {
    const int64_t n = block.count * a.group;
    std::memset(b.q, 0, size_t(a.dim / 2 * kQueryRows) * sizeof(float));
    for (int64_t r = 0; r < n; r++)
        transpose(units(b.q) + r, kQueryRows, row_of(q, block.first + r / a.group, kv_head * a.group + r % a.group, a.dim), a.dim);
    std::memset(b.o, 0, size_t(n * a.padded) * sizeof(float));
    for (int64_t r = 0; r < kQueryRows; r++) b.top[r] = -HUGE_VALF, b.total[r] = 0;
}

FAST void step(const AttentionBuffers& b, const AttentionShape& a, const QueryBlock& block, const KeyBlock& keys,
               int64_t kv_head) {
    const int64_t n = block.count * a.group, width = pad16(n), pairs = (keys.count + 1) / 2;
    for (int64_t j = 0; j < keys.count; j++) std::memset(b.s + j * kQueryRows, 0, size_t(width) * sizeof(float));
    const bf16* k = row_of(*keys.k, keys.first + keys.begin, kv_head, a.dim);
    uint32_t* copy = units(b.k);  // rows a power of two apart would share the sets of L1
    for (int64_t j = 0; j < keys.count; j++) std::memcpy(copy + j * a.dim / 2, k + j * keys.k->pitch, size_t(a.dim) * 2);
    product(b.s, kQueryRows, copy, a.dim / 2, 1, units(b.q), kQueryRows, keys.count, width, a.dim / 2);
    avx512::softmax_step(b, a, block, keys);
    for (int64_t u = 0; u < pairs; u++)
        for (int64_t r = 0; r < width; r += kLanes) {
            const float* even = b.s + 2 * u * kQueryRows + r;
            store_units(units(b.p) + u * kQueryRows + r,
                        pair(avx512::load(even), 2 * u + 1 < keys.count ? avx512::load(even + kQueryRows) : F{}));
        }
    interleave_keys(units(b.v), *keys.v, a, keys, kv_head);
    product(b.o, a.padded, units(b.p), 1, kQueryRows, units(b.v), a.padded, n, a.padded, pairs);
}

// ---- Backward. kt, vt: units [dim/2][kKeyBlock]; k: units [kKeyBlock/2][padded]. The buffers of q and do hold the
// rows [kQueryRows][dim] and behind them the same in units [kQueryRows/2][padded]; p those of the weights and of ds.

FAST void load_keys(const AttentionBuffers& b, const AttentionShape& a, const KeyBlock& keys, int64_t kv_head) {
    if (keys.count < kKeyBlock) {
        std::memset(b.kt, 0, size_t(a.dim / 2 * kKeyBlock) * sizeof(float));
        std::memset(b.vt, 0, size_t(a.dim / 2 * kKeyBlock) * sizeof(float));
    }
    for (int64_t j = 0; j < keys.count; j++) {
        transpose(units(b.kt) + j, kKeyBlock, row_of(*keys.k, keys.first + keys.begin + j, kv_head, a.dim), a.dim);
        transpose(units(b.vt) + j, kKeyBlock, row_of(*keys.v, keys.first + keys.begin + j, kv_head, a.dim), a.dim);
    }
    interleave_keys(units(b.k), *keys.k, a, keys, kv_head);
    std::memset(b.dk, 0, size_t(kKeyBlock * a.padded) * sizeof(float));
    std::memset(b.dv, 0, size_t(kKeyBlock * a.padded) * sizeof(float));
}

FAST void load_queries(float* buffer, const graft_tensor& t, const AttentionShape& a, const QueryBlock& block, int64_t kv_head) {
    bf16* rows = reinterpret_cast<bf16*>(buffer);
    uint32_t* pairs = units(buffer) + kQueryRows / 2 * a.padded;
    const int64_t n = block.count * a.group;
    for (int64_t i = 0; i < block.count; i++)
        std::memcpy(rows + i * a.group * a.dim, row_of(t, block.first + i, kv_head * a.group, a.dim), size_t(a.group * a.dim) * 2);
    for (int64_t r = 0; r < n; r += 2)
        interleave(pairs + r / 2 * a.padded, rows + r * a.dim, r + 1 < n ? rows + (r + 1) * a.dim : nullptr, a.dim, a.padded);
}

struct Weights {
    F p, ds;
};
// The weights of kLanes keys from j on, and the gradient of their scores.
INLINE Weights weigh(const AttentionShape& a, const float* s, const float* dp, float lse, float delta, Range seen, int64_t j) {
    F x = avx512::load(s + j) * a.scale, slope = avx512::splat(a.scale);
    if (a.soft_cap > 0) {
        const F c = avx512::tanh(x / a.soft_cap);
        x = c * a.soft_cap;
        slope = slope * (1.0f - c * c);
    }
    F p = avx512::exp(x - lse), ds = p * (avx512::load(dp + j) - delta) * slope;
    if (j < seen.begin || j + kLanes > seen.end) {
        const U lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        const U at = lane + uint32_t(j);
        p = at < uint32_t(seen.begin) ? F{} : p;
        p = at < uint32_t(seen.end) ? p : F{};
        ds = at < uint32_t(seen.begin) ? F{} : ds;
        ds = at < uint32_t(seen.end) ? ds : F{};
    }
    return {p, ds};
}

FAST void step_back(const AttentionBuffers& b, const AttentionShape& a, const graft_attention_backward_args& g,
                    const QueryBlock& block, const KeyBlock& keys, int64_t kv_head, const float* delta, float* dq) {
    const int64_t n = block.count * a.group, width = pad16(keys.count), pairs = (n + 1) / 2;
    load_queries(b.q, g.q, a, block, kv_head);
    load_queries(b.d_o, g.d_o, a, block, kv_head);
    std::memset(b.s, 0, size_t(n * kKeyBlock) * sizeof(float));
    std::memset(b.dp, 0, size_t(n * kKeyBlock) * sizeof(float));
    product(b.s, kKeyBlock, units(b.q), a.dim / 2, 1, units(b.kt), kKeyBlock, n, width, a.dim / 2);
    product(b.dp, kKeyBlock, units(b.d_o), a.dim / 2, 1, units(b.vt), kKeyBlock, n, width, a.dim / 2);

    uint32_t *weights = units(b.p), *slopes = weights + kQueryRows / 2 * kKeyBlock;
    for (int64_t r = 0; r < n; r += 2) {
        float lse[2] = {}, d[2] = {};
        Range seen[2] = {};
        for (int i = 0; i < 2 && r + i < n; i++) {
            const int64_t t = block.first + (r + i) / a.group, head = kv_head * a.group + (r + i) % a.group;
            lse[i] = static_cast<const float*>(g.lse.data)[t * g.lse.pitch + head];
            d[i] = delta[t * a.heads + head];
            seen[i] = visible(a, keys, block.place + (r + i) / a.group);
        }
        float *s = b.s + r * kKeyBlock, *dp = b.dp + r * kKeyBlock;
        for (int64_t j = 0; j < width; j += kLanes) {
            const Weights even = weigh(a, s, dp, lse[0], d[0], seen[0], j);
            Weights odd = {};
            if (r + 1 < n) odd = weigh(a, s + kKeyBlock, dp + kKeyBlock, lse[1], d[1], seen[1], j);
            store_units(weights + r / 2 * kKeyBlock + j, pair(even.p, odd.p));
            store_units(slopes + r / 2 * kKeyBlock + j, pair(even.ds, odd.ds));
            // Over dp, which is read: ds as rows of bf16.
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(reinterpret_cast<bf16*>(dp) + j), narrow(even.ds));
            if (r + 1 < n)
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(reinterpret_cast<bf16*>(dp + kKeyBlock) + j), narrow(odd.ds));
        }
    }
    const uint32_t *q = units(b.q) + kQueryRows / 2 * a.padded, *d_o = units(b.d_o) + kQueryRows / 2 * a.padded;
    product(b.dv, a.padded, weights, 1, kKeyBlock, d_o, a.padded, keys.count, a.padded, pairs);
    product(b.dk, a.padded, slopes, 1, kKeyBlock, q, a.padded, keys.count, a.padded, pairs);
    if (dq) product(dq, a.padded, units(b.dp), kKeyBlock, 1, units(b.k), a.padded, n, a.padded, (keys.count + 1) / 2);
}

#undef FAST
#undef INLINE

}  // namespace

void use_bf16_products(AttentionKernels* k) {
    k->start = start;
    k->step = step;
    k->load_keys = load_keys;
    k->step_back = step_back;
}

#endif

}  // namespace graft::cpu

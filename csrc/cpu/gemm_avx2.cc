// Register tile for AVX2: 6 rows x 16 columns, 12 accumulators of f32. Each unit costs 2 loads of B, 6 broadcasts of A
// and 12 multiply-adds: 6 cycles of arithmetic against 4 of loads on a core with two of each per cycle.
#if defined(__x86_64__)
#include <immintrin.h>

#include "gemm_kernel.h"
#include "gemm_pack_avx2.h"

namespace graft::cpu {

namespace {

// One unit of the contraction. Packed: a[0] points at MR units. Direct: a[g] points into row 3g of A, rows are `row`
// units apart.
template <int MR, bool DIRECT>
GRAFT_AVX2 GRAFT_INLINE void step(__m256 (&acc)[MR][2], const float* const (&a)[2], int64_t row, const float* b) {
    const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
        const __m256 ai = _mm256_broadcast_ss(DIRECT ? a[i / 3] + i % 3 * row : a[0] + i);
        acc[i][0] = _mm256_fmadd_ps(ai, b0, acc[i][0]);
        acc[i][1] = _mm256_fmadd_ps(ai, b1, acc[i][1]);
    }
}

template <int MR, bool DIRECT>
GRAFT_AVX2 GRAFT_INLINE void contract(__m256 (&acc)[MR][2], const uint32_t* units_of_a, int64_t row, const uint32_t* units_of_b,
                                      int64_t units, const char* prefetch) {
    const float *a0 = reinterpret_cast<const float*>(units_of_a), *b = reinterpret_cast<const float*>(units_of_b);
    const float* a[2] = {a0, a0 + 3 * row};
    for (; units > 0; units -= 16) {
        _mm_prefetch(prefetch, _MM_HINT_T1);
        prefetch += 64;
#pragma GCC unroll 6
        for (int i = 0; i < MR; i++) {  // A: the next rows of six, or 2 KiB ahead
            const float* ahead = DIRECT ? a[i / 3] + (6 + i % 3) * row : a[0] + 512 + 16 * i;
            _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T0);
        }
        const int64_t end = std::min<int64_t>(units, 16);
#pragma GCC unroll 1
        for (int64_t u = 0; u < end; u++, b += 16) {  // unrolled, gcc spills
            step<MR, DIRECT>(acc, a, row, b);
            a[0] += DIRECT ? 1 : MR;
            a[1]++;
        }
    }
}

// Eight finished sums to C: alpha times them, bias and what was there added.
GRAFT_AVX2 GRAFT_INLINE __m256 finished(const Tile& t, __m256 acc, int column, __m256 before) {
    const __m256 bias = t.bias ? _mm256_loadu_ps(t.bias + column) : _mm256_setzero_ps();
    const __m256 v = _mm256_fmadd_ps(acc, _mm256_set1_ps(t.alpha), bias);
    return t.beta != 0 ? _mm256_fmadd_ps(_mm256_set1_ps(t.beta), before, v) : v;
}

GRAFT_AVX2 GRAFT_INLINE void write16(const Tile& t, float* c, __m256 low, __m256 high) {
    __m256 before[2] = {};
    if (t.beta != 0) before[0] = load8<From::f32>(reinterpret_cast<const char*>(c)), before[1] = load8<From::f32>(reinterpret_cast<const char*>(c + 8));
    low = finished(t, low, 0, before[0]), high = finished(t, high, 8, before[1]);
    if (t.stream) _mm256_stream_ps(c, low), _mm256_stream_ps(c + 8, high);
    else _mm256_storeu_ps(c, low), _mm256_storeu_ps(c + 8, high);
}
GRAFT_AVX2 GRAFT_INLINE void write16(const Tile& t, bf16* c, __m256 low, __m256 high) {
    __m256 before[2] = {};
    if (t.beta != 0) before[0] = load8<From::bf16>(reinterpret_cast<const char*>(c)), before[1] = load8<From::bf16>(reinterpret_cast<const char*>(c + 8));
    const __m256i first = _mm256_srli_epi32(round_to_bf16(finished(t, low, 0, before[0])), 16);
    const __m256i second = _mm256_srli_epi32(round_to_bf16(finished(t, high, 8, before[1])), 16);
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(c), both);
}

template <class C> GRAFT_AVX2 GRAFT_INLINE void write(const Tile& t, C* c, __m256 low, __m256 high) {
    if (t.cols == 16) return write16(t, c, low, high);
    C some[16] = {};  // the columns that there are
    if (t.beta != 0) std::memcpy(some, c, size_t(t.cols) * sizeof(C));
    Tile narrow = t;
    float bias[16] = {};
    if (t.bias) std::memcpy(bias, t.bias, size_t(t.cols) * 4), narrow.bias = bias;
    narrow.stream = false;
    write16(narrow, some, low, high);
    std::memcpy(c, some, size_t(t.cols) * sizeof(C));
}

template <int MR, bool DIRECT> GRAFT_AVX2 void tile(const Tile& t) {
    __m256 acc[MR][2];
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
        const float* p = t.partial + i * t.ld_partial;
        acc[i][0] = t.load_partial ? _mm256_loadu_ps(p) : _mm256_setzero_ps();
        acc[i][1] = t.load_partial ? _mm256_loadu_ps(p + 8) : _mm256_setzero_ps();
    }
    contract<MR, DIRECT>(acc, t.a, t.lda, t.b, t.units, t.prefetch);
    if (!t.finish) {
#pragma GCC unroll 6
        for (int i = 0; i < MR; i++) {
            float* p = t.partial + i * t.ld_partial;
            _mm256_storeu_ps(p, acc[i][0]);
            _mm256_storeu_ps(p + 8, acc[i][1]);
        }
        return;
    }
    if (t.tail_units) contract<MR, false>(acc, t.tail_a, 0, t.tail_b, t.tail_units, t.prefetch);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
        if (t.c_bf16) write(t, static_cast<bf16*>(t.c) + i * t.ldc, acc[i][0], acc[i][1]);
        else write(t, static_cast<float*>(t.c) + i * t.ldc, acc[i][0], acc[i][1]);
    }
}

// One row against four panels: eight chains of multiply-adds, where the two of a panel would wait for themselves.
GRAFT_AVX2 GRAFT_INLINE void contract_row(__m256 (&acc)[kRowPanels][2], const uint32_t* a, const uint32_t* b, int64_t pitch, int64_t units) {
    const float* w = reinterpret_cast<const float*>(b);
    for (int64_t u = 0; u < units; u++, w += 16) {
        const __m256 x = _mm256_broadcast_ss(reinterpret_cast<const float*>(a) + u);
#pragma GCC unroll 4
        for (int j = 0; j < kRowPanels; j++) {
            acc[j][0] = _mm256_fmadd_ps(x, _mm256_loadu_ps(w + j * pitch), acc[j][0]);
            acc[j][1] = _mm256_fmadd_ps(x, _mm256_loadu_ps(w + j * pitch + 8), acc[j][1]);
        }
    }
}

GRAFT_AVX2 void row(const Tile& t, const RowPitch& pitch) {
    __m256 acc[kRowPanels][2];
#pragma GCC unroll 4
    for (int j = 0; j < kRowPanels; j++) {  // not unrolled, the sums would live in memory
        const float* p = t.partial + j * pitch.partial;
        acc[j][0] = t.load_partial ? _mm256_loadu_ps(p) : _mm256_setzero_ps();
        acc[j][1] = t.load_partial ? _mm256_loadu_ps(p + 8) : _mm256_setzero_ps();
    }
    contract_row(acc, t.a, t.b, pitch.b, t.units);
    if (!t.finish) {
#pragma GCC unroll 4
        for (int j = 0; j < kRowPanels; j++) {
            float* p = t.partial + j * pitch.partial;
            _mm256_storeu_ps(p, acc[j][0]), _mm256_storeu_ps(p + 8, acc[j][1]);
        }
        return;
    }
    contract_row(acc, t.tail_a, t.tail_b, pitch.tail, t.tail_units);
    Tile panel = t;
#pragma GCC unroll 4
    for (int j = 0; j < kRowPanels; j++) {
        panel.cols = std::min(16, t.cols - 16 * j);
        if (t.bias) panel.bias = t.bias + 16 * j;
        if (t.c_bf16) write(panel, static_cast<bf16*>(t.c) + 16 * j, acc[j][0], acc[j][1]);
        else write(panel, static_cast<float*>(t.c) + 16 * j, acc[j][0], acc[j][1]);
    }
}

#define GRAFT_TILES(D) {nullptr, tile<1, D>, tile<2, D>, tile<3, D>, tile<4, D>, tile<5, D>, tile<6, D>}

}  // namespace

extern const Kernels kAVX2 = {GRAFT_F32, 6, 16, GRAFT_TILES(false), GRAFT_TILES(true), row, pack_a_avx2, pack_b_avx2, pack_b_block_avx2};

#undef GRAFT_TILES

}  // namespace graft::cpu
#endif

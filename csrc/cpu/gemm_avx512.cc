// Register tile for AVX-512: 12 rows x 32 columns, 24 accumulators. Each unit costs 2 loads of B, 12 broadcasts
// of A and 24 multiply-adds: 12 cycles of arithmetic against 7 of loads on a core with two of each per cycle.
#if defined(__x86_64__)
#include <immintrin.h>

#include "gemm_kernel.h"
#include "gemm_pack_avx512.h"

namespace graft::cpu {

namespace {

template <bool BF16> GRAFT_AVX512 GRAFT_INLINE __m512 madd(__m512 acc, __m512i a, __m512i b) {
    if (BF16) return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), acc);
}

// One unit of the contraction. Packed: a[0] points at MR units. Direct: a[g] points into row 3g of A, rows are `row`
// units apart, so that three rows are one base register and one index register (x86 scales by 4 and 8 bytes).
template <bool BF16, int MR, bool DIRECT>
GRAFT_AVX512 GRAFT_INLINE void step(__m512 (&acc)[MR][2], const uint32_t* const (&a)[4], int64_t row, int u,
                                    const uint32_t* b) {
    __m512i b0 = _mm512_loadu_si512(b + 32 * u), b1 = _mm512_loadu_si512(b + 32 * u + 16);
#pragma GCC unroll 12
    for (int i = 0; i < MR; i++) {
        __m512i ai = _mm512_set1_epi32(int(DIRECT ? a[i / 3][i % 3 * row + u] : a[0][u * MR + i]));
        acc[i][0] = madd<BF16>(acc[i][0], ai, b0);
        acc[i][1] = madd<BF16>(acc[i][1], ai, b1);
    }
}

template <bool BF16, int MR, bool DIRECT>
GRAFT_AVX512 GRAFT_INLINE void contract(__m512 (&acc)[MR][2], const uint32_t* a0, int64_t row, const uint32_t* b,
                                        int64_t units, const char* prefetch) {
    const uint32_t* a[4] = {a0, a0 + 3 * row, a0 + 6 * row, a0 + 9 * row};
    for (; units >= 4; units -= 4) {
        _mm_prefetch(prefetch, _MM_HINT_T1);
        prefetch += 64;
        if (!DIRECT)
            for (int line = 0; line < (MR + 3) / 4; line++)  // A, 4 KiB ahead
                _mm_prefetch(reinterpret_cast<const char*>(a[0] + 1024 + 16 * line), _MM_HINT_T0);
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++) step<BF16, MR, DIRECT>(acc, a, row, u, b);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) a[g] += DIRECT ? 4 : 4 * MR;
        b += 128;
    }
    for (; units > 0; units--, b += 32) {
        step<BF16, MR, DIRECT>(acc, a, row, 0, b);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) a[g] += DIRECT ? 1 : MR;
    }
}

GRAFT_AVX512 GRAFT_INLINE __m512 bf16_load(__mmask16 m, const uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p)), 16));
}

// Two vectors as 32 bf16. The instruction belongs to the set with bf16; without it, nearest even by integers.
GRAFT_AVX512 GRAFT_INLINE __m256i narrow16(__m512 v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(r);
}
template <bool BF16> GRAFT_AVX512 GRAFT_INLINE __m512i narrow(__m512 high, __m512 low) {
    if (BF16) return (__m512i)_mm512_cvtne2ps_pbh(high, low);
    return _mm512_inserti64x4(_mm512_castsi256_si512(narrow16(low)), narrow16(high), 1);
}

template <bool BF16, int MR, bool DIRECT> GRAFT_AVX512 void tile(const Tile& t) {
    __m512 acc[MR][2];
#pragma GCC unroll 12
    for (int i = 0; i < MR; i++) {
        const float* p = t.partial + i * t.ld_partial;
        acc[i][0] = t.load_partial ? _mm512_loadu_ps(p) : _mm512_setzero_ps();
        acc[i][1] = t.load_partial ? _mm512_loadu_ps(p + 16) : _mm512_setzero_ps();
    }
    contract<BF16, MR, DIRECT>(acc, t.a, t.lda, t.b, t.units, t.prefetch);
    if (!t.finish) {
#pragma GCC unroll 12
        for (int i = 0; i < MR; i++) {
            float* p = t.partial + i * t.ld_partial;
            _mm512_storeu_ps(p, acc[i][0]);
            _mm512_storeu_ps(p + 16, acc[i][1]);
        }
        return;
    }
    if (t.tail_units) contract<BF16, MR, false>(acc, t.tail_a, 0, t.tail_b, t.tail_units, t.prefetch);

    const __mmask32 mask = t.cols >= 32 ? ~__mmask32(0) : (__mmask32(1) << t.cols) - 1;
    const __mmask16 m0 = __mmask16(mask), m1 = __mmask16(mask >> 16);
    const __m512 alpha = _mm512_set1_ps(t.alpha), beta = _mm512_set1_ps(t.beta);
    const __m512 bias0 = t.bias ? _mm512_maskz_loadu_ps(m0, t.bias) : _mm512_setzero_ps();
    const __m512 bias1 = t.bias ? _mm512_maskz_loadu_ps(m1, t.bias + 16) : _mm512_setzero_ps();
    if (t.c_bf16) {
#pragma GCC unroll 12
        for (int i = 0; i < MR; i++) {
            uint16_t* c = static_cast<uint16_t*>(t.c) + i * t.ldc;
            __m512 v0 = _mm512_fmadd_ps(acc[i][0], alpha, bias0), v1 = _mm512_fmadd_ps(acc[i][1], alpha, bias1);
            if (t.beta != 0) {
                v0 = _mm512_fmadd_ps(beta, bf16_load(m0, c), v0);
                v1 = _mm512_fmadd_ps(beta, bf16_load(m1, c + 16), v1);
            }
            __m512i y = narrow<BF16>(v1, v0);
            if (t.stream) _mm512_stream_si512((__m512i*)c, y);
            else _mm512_mask_storeu_epi16(c, mask, y);
        }
    } else {
#pragma GCC unroll 12
        for (int i = 0; i < MR; i++) {
            float* c = static_cast<float*>(t.c) + i * t.ldc;
            __m512 v0 = _mm512_fmadd_ps(acc[i][0], alpha, bias0), v1 = _mm512_fmadd_ps(acc[i][1], alpha, bias1);
            if (t.beta != 0) {
                v0 = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(m0, c), v0);
                v1 = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(m1, c + 16), v1);
            }
            if (t.stream) {
                _mm512_stream_ps(c, v0);
                _mm512_stream_ps(c + 16, v1);
            } else {
                _mm512_mask_storeu_ps(c, m0, v0);
                _mm512_mask_storeu_ps(c + 16, m1, v1);
            }
        }
    }
}

#define GRAFT_TILES(B, D)                                                                                         \
    {nullptr, tile<B, 1, D>, tile<B, 2, D>, tile<B, 3, D>, tile<B, 4, D>, tile<B, 5, D>, tile<B, 6, D>, tile<B, 7, D>, \
     tile<B, 8, D>, tile<B, 9, D>, tile<B, 10, D>, tile<B, 11, D>, tile<B, 12, D>}

}  // namespace

extern const Kernels kAVX512 = {GRAFT_F32, 12, 32, GRAFT_TILES(false, false), GRAFT_TILES(false, true),
                                nullptr, pack_a_f32, pack_b_f32, nullptr};
extern const Kernels kAVX512BF16 = {GRAFT_BF16, 12, 32, GRAFT_TILES(true, false), GRAFT_TILES(true, true),
                                    nullptr, pack_a_bf16, pack_b_bf16, nullptr};

}  // namespace graft::cpu
#endif

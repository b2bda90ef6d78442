// Packing for AVX-512. The two building blocks are a 16 x 16 transpose of 32-bit units (contraction contiguous in
// memory) and an interleave of two rows of bf16 (contraction strided).
#pragma once
#include <immintrin.h>

#include "gemm_kernel.h"
#include "gemm_nf4.h"
#include "gemm_pack.h"

namespace graft::cpu {

GRAFT_AVX512 GRAFT_INLINE void transpose16(__m512i (&r)[16]) {
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {  // r[4g+i]: rows 4g..4g+3, units i, 4+i, 8+i, 12+i
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

// 32-bit lanes of (even row, odd row): lanes 0..15 and 16..31 of two rows of 32 bf16.
GRAFT_AVX512 GRAFT_INLINE void interleave(__m512i even, __m512i odd, __m512i* lo, __m512i* hi) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    // word 2i takes even[i], word 2i+1 takes odd[i] (index 32 + i)
    __m512i first = _mm512_or_si512(_mm512_slli_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(32)), 16), lanes);
    __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    *lo = _mm512_permutex2var_epi16(even, first, odd);
    *hi = _mm512_permutex2var_epi16(even, second, odd);
}

// Thirty-two bf16 in a row, zero where the mask is.
template <From FROM> GRAFT_AVX512 GRAFT_INLINE __m512i load_bf16(const char* p, __mmask32 mask) {
    if (FROM == From::bf16) return _mm512_maskz_loadu_epi16(mask, p);
    const float* f = reinterpret_cast<const float*>(p);
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(__mmask16(mask >> 16), f + 16),
                                        _mm512_maskz_loadu_ps(__mmask16(mask), f));
}
GRAFT_INLINE __mmask32 first32(int64_t n) { return n >= 32 ? ~__mmask32(0) : n <= 0 ? 0 : (__mmask32(1) << n) - 1; }

// Sixteen units of one row whose contraction is contiguous, zero behind its end.
template <From FROM> GRAFT_AVX512 GRAFT_INLINE __m512i load_units(const char* row, int64_t unit, int64_t contraction) {
    if (FROM != From::f32) return load_bf16<FROM>(row + 2 * unit * width(FROM), first32(contraction - 2 * unit));
    return _mm512_maskz_loadu_epi32(__mmask16(first32(contraction - unit)), row + unit * 4);
}

// Writes units [u0,u1) of up to 16 rows to dst[unit - u0][width], lanes given by mask.
template <From FROM>
GRAFT_AVX512 GRAFT_INLINE void pack_rows16(uint32_t* dst, int width, const char* src, int64_t row_bytes, int rows,
                                           int64_t u0, int64_t u1, int64_t contraction, __mmask16 mask) {
    for (int64_t u = u0; u < u1; u += 16, dst += 16 * width) {
        __m512i r[16];
        for (int i = 0; i < 16; i++) {
            if (i < rows) _mm_prefetch(src + i * row_bytes + u * (FROM == From::narrowed ? 8 : 4) + 512, _MM_HINT_T0);
            r[i] = i < rows ? load_units<FROM>(src + i * row_bytes, u, contraction) : _mm512_setzero_si512();
        }
        transpose16(r);
        int count = u1 - u < 16 ? int(u1 - u) : 16;
        if (count == 16) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) _mm512_mask_storeu_epi32(dst + i * width, mask, r[i]);
        } else {
            for (int i = 0; i < count; i++) _mm512_mask_storeu_epi32(dst + i * width, mask, r[i]);
        }
    }
}

template <From FROM> GRAFT_AVX512 void pack_a_rows(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    const int64_t row_bytes = a.o.ld * width(FROM);
    pack_rows16<FROM>(dst, rows, static_cast<const char*>(a.o.p) + i0 * row_bytes, row_bytes, rows, u0, u1,
                      a.contraction, __mmask16(first32(rows)));
}

GRAFT_AVX512 inline void pack_a_cols_f32(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    const __mmask16 mask = __mmask16(first32(rows));
    const float* p = static_cast<const float*>(a.o.p) + i0;
    for (int64_t u = u0; u < u1; u++, dst += rows)
        _mm512_mask_storeu_epi32(dst, mask, _mm512_maskz_loadu_epi32(mask, p + u * a.o.ld));
}

GRAFT_AVX512 inline void pack_a_cols_bf16(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    const __mmask16 mask = __mmask16(first32(rows));
    const uint16_t* p = static_cast<const uint16_t*>(a.o.p) + i0;
    for (int64_t u = u0; u < u1; u++, dst += rows) {
        const uint16_t* q = p + 2 * u * a.o.ld;
        __m512i even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, q));
        __m512i odd = _mm512_setzero_si512();
        if (2 * u + 1 < a.contraction) odd = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, q + a.o.ld));
        _mm512_mask_storeu_epi32(dst, mask, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
    }
}

template <From FROM>
GRAFT_AVX512 void pack_b_rows(uint32_t* dst, const Source& b, int64_t j0, int cols, int64_t u0, int64_t u1) {
    const int64_t row_bytes = b.o.ld * width(FROM);
    const char* p = static_cast<const char*>(b.o.p) + j0 * row_bytes;
    pack_rows16<FROM>(dst, 32, p, row_bytes, cols, u0, u1, b.contraction, 0xffff);
    pack_rows16<FROM>(dst + 16, 32, p + 16 * row_bytes, row_bytes, cols - 16, u0, u1, b.contraction, 0xffff);
}

GRAFT_AVX512 inline void pack_b_cols_f32(uint32_t* dst, const Source& b, int64_t j0, int cols, int64_t u0, int64_t u1) {
    const __mmask32 mask = first32(cols);
    for (int64_t u = u0; u < u1; u++, dst += 32) {
        const float* p = static_cast<const float*>(b.o.p) + u * b.o.ld + j0;
        _mm512_storeu_si512(dst, _mm512_maskz_loadu_epi32(__mmask16(mask), p));
        _mm512_storeu_si512(dst + 16, _mm512_maskz_loadu_epi32(__mmask16(mask >> 16), p + 16));
    }
}

template <From FROM>
GRAFT_AVX512 void pack_b_cols_bf16(uint32_t* dst, const Source& b, int64_t j0, int cols, int64_t u0, int64_t u1) {
    const __mmask32 mask = first32(cols);
    const int64_t row_bytes = b.o.ld * width(FROM);
    for (int64_t u = u0; u < u1; u++, dst += 32) {
        const char* p = static_cast<const char*>(b.o.p) + 2 * u * row_bytes + j0 * width(FROM);
        _mm_prefetch(p + 8 * row_bytes, _MM_HINT_T0);
        _mm_prefetch(p + 9 * row_bytes, _MM_HINT_T0);
        __m512i even = load_bf16<FROM>(p, mask), odd = _mm512_setzero_si512(), lo, hi;
        if (2 * u + 1 < b.contraction) odd = load_bf16<FROM>(p + row_bytes, mask);
        interleave(even, odd, &lo, &hi);
        _mm512_storeu_si512(dst, lo);
        _mm512_storeu_si512(dst + 16, hi);
    }
}

GRAFT_AVX512 inline void pack_b_nf4_rows(uint32_t* dst, const Source& b, int64_t j0, int cols, int64_t u0,
                                               int64_t u1) {
    const int64_t row_bytes = b.contraction / 2, row_blocks = b.contraction / 64;
    const uint8_t* codes = static_cast<const uint8_t*>(b.o.p);
    for (int half = 0; half < 2; half++) {
        for (int64_t u = u0; u < u1; u += 16) {  // 16 units = 32 weights = half a block
            __m512i r[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                int64_t row = j0 + half * 16 + i;
                if (half * 16 + i < cols)
                    r[i] = nf4_decode32(codes + row * row_bytes + u, b.o.scales(row * row_blocks + u / 32));
                else r[i] = _mm512_setzero_si512();
            }
            transpose16(r);
            uint32_t* d = dst + (u - u0) * 32 + half * 16;
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) _mm512_storeu_si512(d + i * 32, r[i]);
        }
    }
}

GRAFT_AVX512 inline void pack_b_nf4_cols(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int64_t row_bytes = b.outer / 2, row_blocks = b.outer / 64;
    const uint8_t* codes = static_cast<const uint8_t*>(b.o.p) + j0 / 2;
    const NF4Scales& scale = b.o.scales;
    for (int64_t u = u0; u < u1; u++, dst += 32) {
        __m512i even = nf4_decode32(codes + 2 * u * row_bytes, scale(2 * u * row_blocks + j0 / 64));
        __m512i odd = _mm512_setzero_si512(), lo, hi;
        if (2 * u + 1 < b.contraction)
            odd = nf4_decode32(codes + (2 * u + 1) * row_bytes, scale((2 * u + 1) * row_blocks + j0 / 64));
        interleave(even, odd, &lo, &hi);
        _mm512_storeu_si512(dst, lo);
        _mm512_storeu_si512(dst + 16, hi);
    }
}

inline void pack_a_f32(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    if (a.o.storage != GRAFT_F32 || a.type != GRAFT_F32) return pack_plain<GRAFT_F32>(dst, a, i0, rows, rows, u0, u1);
    if (a.o.form == kRows) return pack_a_rows<From::f32>(dst, a, i0, rows, u0, u1);
    pack_a_cols_f32(dst, a, i0, rows, u0, u1);
}

inline void pack_a_bf16(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    if (a.o.storage != GRAFT_BF16) return pack_plain<GRAFT_BF16>(dst, a, i0, rows, rows, u0, u1);
    if (a.o.form == kRows) return pack_a_rows<From::bf16>(dst, a, i0, rows, u0, u1);
    pack_a_cols_bf16(dst, a, i0, rows, u0, u1);
}

inline void pack_b_f32(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int cols = int(std::min<int64_t>(32, b.outer - j0));
    if (b.o.storage != GRAFT_F32 || b.type != GRAFT_F32) return pack_plain<GRAFT_F32>(dst, b, j0, cols, 32, u0, u1);
    if (b.o.form == kRows) return pack_b_rows<From::f32>(dst, b, j0, cols, u0, u1);
    pack_b_cols_f32(dst, b, j0, cols, u0, u1);
}

inline void pack_b_bf16(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int cols = int(std::min<int64_t>(32, b.outer - j0));
    const bool rows = b.o.form == kRows;
    switch (b.o.storage) {
        case GRAFT_BF16: return (rows ? pack_b_rows<From::bf16> : pack_b_cols_bf16<From::bf16>)(dst, b, j0, cols, u0, u1);
        case GRAFT_F32: return (rows ? pack_b_rows<From::narrowed> : pack_b_cols_bf16<From::narrowed>)(dst, b, j0, cols, u0, u1);
        default: return rows ? pack_b_nf4_rows(dst, b, j0, cols, u0, u1) : pack_b_nf4_cols(dst, b, j0, u0, u1);
    }
}

}  // namespace graft::cpu

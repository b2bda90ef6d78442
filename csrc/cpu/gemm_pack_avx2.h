// Packing for AVX2, whose units are f32: bf16 is widened by a shift, NF4 looked up in the sixteen weights of its block.
// The building block is an 8 x 8 transpose (contraction contiguous in memory); strided, eight rows of the packed panel
// are neighbours already.
#pragma once
#include <immintrin.h>

#include "gemm_kernel.h"
#include "gemm_nf4_avx2.h"
#include "gemm_pack.h"

namespace graft::cpu {

GRAFT_AVX2 GRAFT_INLINE void transpose8(__m256 (&r)[8]) {
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {  // r[i+j]: rows i..i+3 of units j and 4+j
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = t[i];
}

// The bits of eight floats as bf16 in the upper halves of the lanes: nearest even, and a NaN stays one.
GRAFT_AVX2 GRAFT_INLINE __m256i round_to_bf16(__m256 v) {
    const __m256i bits = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i near = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i r = _mm256_blendv_epi8(near, nan, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    return _mm256_and_si256(r, _mm256_set1_epi32(int(0xffff0000)));
}

template <From FROM> GRAFT_AVX2 GRAFT_INLINE __m256 load8(const char* p) {
    if (FROM == From::bf16) {
        const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
    }
    const __m256 v = _mm256_loadu_ps(reinterpret_cast<const float*>(p));
    return FROM == From::narrowed ? _mm256_castsi256_ps(round_to_bf16(v)) : v;
}
// The first n, zeros behind them.
template <From FROM> GRAFT_AVX2 GRAFT_INLINE __m256 load8(const char* p, int64_t n) {
    if (n >= 8) return load8<FROM>(p);
    char some[32] = {};
    if (n > 0) std::memcpy(some, p, size_t(n * width(FROM)));
    return load8<FROM>(some);
}

// Lanes of a vector to the row of a panel: eight of them, or the six of a full micro-panel of A.
template <int ROWS> GRAFT_AVX2 GRAFT_INLINE void store_rows(uint32_t* to, __m256 v, int rows) {
    float* f = reinterpret_cast<float*>(to);
    if (ROWS == 8) return _mm256_storeu_ps(f, v);
    if (rows == 6) {
        _mm_storeu_ps(f, _mm256_castps256_ps128(v));
        _mm_storel_pi(reinterpret_cast<__m64*>(f + 4), _mm256_extractf128_ps(v, 1));
        return;
    }
    float lane[8];
    _mm256_storeu_ps(lane, v);
    for (int i = 0; i < rows; i++) f[i] = lane[i];
}

// Units [u0, u1) of up to ROWS rows to dst[unit - u0][pitch].
template <From FROM, int ROWS>
GRAFT_AVX2 GRAFT_INLINE void pack_rows8(uint32_t* dst, int pitch, const char* src, int64_t row_bytes, int rows, int64_t u0,
                                        int64_t u1, int64_t contraction) {
    for (int64_t u = u0; u < u1; u += 8, dst += 8 * pitch) {
        __m256 r[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            r[i] = i < ROWS && i < rows ? load8<FROM>(src + i * row_bytes + u * width(FROM), contraction - u) : _mm256_setzero_ps();
        transpose8(r);
        if (u1 - u >= 8) {
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) store_rows<ROWS>(dst + i * pitch, r[i], rows);
        } else {
            for (int i = 0; i < u1 - u; i++) store_rows<ROWS>(dst + i * pitch, r[i], rows);
        }
    }
}

template <From FROM>
GRAFT_AVX2 void pack_a_from(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    const char* p = static_cast<const char*>(a.o.p);
    const int64_t row_bytes = a.o.ld * width(FROM);
    if (a.o.form == kRows)
        return pack_rows8<FROM, 6>(dst, rows, p + i0 * row_bytes, row_bytes, rows, u0, u1, a.contraction);
    p += i0 * width(FROM);
    const int64_t there = a.outer - i0;  // eight may be read where only six are stored
    for (int64_t u = u0; u < u1; u++, dst += rows) store_rows<6>(dst, load8<FROM>(p + u * row_bytes, there), rows);
}

template <From FROM>
GRAFT_AVX2 void pack_b_from(uint32_t* dst, const Source& b, int64_t j0, int cols, int64_t u0, int64_t u1) {
    const char* p = static_cast<const char*>(b.o.p);
    const int64_t row_bytes = b.o.ld * width(FROM);
    if (b.o.form == kRows) {
        p += j0 * row_bytes;
        pack_rows8<FROM, 8>(dst, 16, p, row_bytes, std::min(cols, 8), u0, u1, b.contraction);
        pack_rows8<FROM, 8>(dst + 8, 16, p + 8 * row_bytes, row_bytes, cols - 8, u0, u1, b.contraction);
        return;
    }
    p += j0 * width(FROM);
    for (int64_t u = u0; u < u1; u++, dst += 16) {
        _mm256_storeu_ps(reinterpret_cast<float*>(dst), load8<FROM>(p + u * row_bytes, cols));
        _mm256_storeu_ps(reinterpret_cast<float*>(dst + 8), load8<FROM>(p + u * row_bytes + 8 * width(FROM), cols - 8));
    }
}

// The sixteen weights of a block of NF4.
struct NF4Block {
    __m256 low, high;
};
GRAFT_AVX2 GRAFT_INLINE NF4Block nf4_block(float scale, graft_dtype type) {
    const __m256 s = _mm256_set1_ps(scale);
    NF4Block b = {_mm256_mul_ps(_mm256_loadu_ps(kNF4Table), s), _mm256_mul_ps(_mm256_loadu_ps(kNF4Table + 8), s)};
    if (type == GRAFT_BF16) {
        b.low = _mm256_castsi256_ps(round_to_bf16(b.low));
        b.high = _mm256_castsi256_ps(round_to_bf16(b.high));
    }
    return b;
}
// Eight weights in order from four bytes, the upper half of a byte first.
GRAFT_AVX2 GRAFT_INLINE __m256 nf4_decode8(const uint8_t* codes, const NF4Block& b) {
    int32_t word;
    std::memcpy(&word, codes, 4);
    const __m256i code = _mm256_srlv_epi32(_mm256_set1_epi32(word), _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(b.low, code), _mm256_permutevar8x32_ps(b.high, code),
                            _mm256_castsi256_ps(_mm256_slli_epi32(code, 28)));
}

// Eight units of sixteen rows of bf16, to dst[unit][16]. Of r[i] the lanes are rows i and 4+i, of r[4+i] rows 8+i and
// 12+i: so the transpose ends where widening begins with whole rows of the panel.
GRAFT_AVX2 GRAFT_INLINE void store_transposed(uint32_t* dst, const __m256i (&r)[8]) {
    __m256i t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {  // t[i]: two rows, units 0..3; t[4+i]: units 4..7
        t[i] = _mm256_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
        t[4 + i] = _mm256_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        const __m256i first[2] = {_mm256_unpacklo_epi32(t[i], t[i + 1]), _mm256_unpackhi_epi32(t[i], t[i + 1])};
        const __m256i second[2] = {_mm256_unpacklo_epi32(t[i + 2], t[i + 3]), _mm256_unpackhi_epi32(t[i + 2], t[i + 3])};
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            const __m256i unit[2] = {_mm256_unpacklo_epi64(first[j], second[j]), _mm256_unpackhi_epi64(first[j], second[j])};
#pragma GCC unroll 2
            for (int u = 0; u < 2; u++) {
                __m256i* to = reinterpret_cast<__m256i*>(dst + (i + 2 * j + u) * 16);
                _mm256_storeu_si256(to, _mm256_unpacklo_epi16(_mm256_setzero_si256(), unit[u]));
                _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi16(_mm256_setzero_si256(), unit[u]));
            }
        }
    }
}
constexpr int kPairs[8][2] = {{0, 4}, {1, 5}, {2, 6}, {3, 7}, {8, 12}, {9, 13}, {10, 14}, {11, 15}};

// Sixteen rows of bf16, all there.
GRAFT_AVX2 inline void pack_b_bf16_rows_avx2(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const uint16_t* p = static_cast<const uint16_t*>(b.o.p) + j0 * b.o.ld;
    int64_t u = u0;
    for (; u + 8 <= u1; u += 8, dst += 128) {
        __m256i r[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            const auto* low = reinterpret_cast<const __m128i*>(p + kPairs[i][0] * b.o.ld + u);
            const auto* high = reinterpret_cast<const __m128i*>(p + kPairs[i][1] * b.o.ld + u);
            r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
        }
        store_transposed(dst, r);
    }
    if (u < u1) pack_b_from<From::bf16>(dst, b, j0, 16, u, u1);
}

// Sixteen rows of f32, all there: of r[i] the lanes are rows i and 4+i.
GRAFT_AVX2 inline void pack_b_f32_rows_avx2(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const float* p = static_cast<const float*>(b.o.p) + j0 * b.o.ld;
    int64_t u = u0;
    for (; u + 4 <= u1; u += 4, dst += 64)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            __m256 r[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                const float *low = p + (8 * half + i) * b.o.ld + u, *high = low + 4 * b.o.ld;
                r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
            }
            const __m256 t[4] = {_mm256_unpacklo_ps(r[0], r[1]), _mm256_unpackhi_ps(r[0], r[1]), _mm256_unpacklo_ps(r[2], r[3]),
                                 _mm256_unpackhi_ps(r[2], r[3])};
            float* to = reinterpret_cast<float*>(dst) + 8 * half;
            _mm256_storeu_ps(to, _mm256_shuffle_ps(t[0], t[2], 0x44));
            _mm256_storeu_ps(to + 16, _mm256_shuffle_ps(t[0], t[2], 0xee));
            _mm256_storeu_ps(to + 32, _mm256_shuffle_ps(t[1], t[3], 0x44));
            _mm256_storeu_ps(to + 48, _mm256_shuffle_ps(t[1], t[3], 0xee));
        }
    if (u < u1) pack_b_from<From::f32>(dst, b, j0, 16, u, u1);
}

// Rows of a matrix are whole blocks of 64, and slices of a contraction begin at multiples of 32.
GRAFT_AVX2 inline void pack_b_nf4_rows_avx2(uint32_t* dst, const Source& b, int64_t j0, int cols, int64_t u0, int64_t u1) {
    const int64_t row_bytes = b.contraction / 2, row_blocks = b.contraction / 64;
    const uint8_t* codes = static_cast<const uint8_t*>(b.o.p);
    for (int half = 0; half < 16; half += 8, dst += 8)
        for (int64_t u = u0; u < u1; u += 32) {
            NF4Block block[8];
            for (int i = 0; i < 8 && half + i < cols; i++) {
                block[i] = nf4_block(b.o.scales((j0 + half + i) * row_blocks + u / 64), b.type);
            }
            for (int64_t v = u; v < u + 32 && v < u1; v += 8) {
                __m256 r[8];
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++)
                    r[i] = half + i < cols ? nf4_decode8(codes + (j0 + half + i) * row_bytes + v / 2, block[i]) : _mm256_setzero_ps();
                transpose8(r);
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++) store_rows<8>(dst + (v - u0 + i) * 16, r[i], 8);
            }
        }
}

GRAFT_AVX2 inline void pack_b_nf4_cols_avx2(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int64_t row_bytes = b.outer / 2, row_blocks = b.outer / 64;
    const uint8_t* codes = static_cast<const uint8_t*>(b.o.p) + j0 / 2;
    for (int64_t u = u0; u < u1; u++, dst += 16) {
        const NF4Block block = nf4_block(b.o.scales(u * row_blocks + j0 / 64), b.type);
        store_rows<8>(dst, nf4_decode8(codes + u * row_bytes, block), 8);
        store_rows<8>(dst + 8, nf4_decode8(codes + u * row_bytes + 4, block), 8);
    }
}

inline void pack_a_avx2(uint32_t* dst, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    if (a.o.storage == GRAFT_BF16) return pack_a_from<From::bf16>(dst, a, i0, rows, u0, u1);
    if (a.type == GRAFT_BF16) return pack_a_from<From::narrowed>(dst, a, i0, rows, u0, u1);
    pack_a_from<From::f32>(dst, a, i0, rows, u0, u1);
}

inline void pack_b_avx2(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int cols = int(std::min<int64_t>(16, b.outer - j0));
    const bool all = cols == 16 && b.o.form == kRows;
    if (all && b.o.storage == GRAFT_BF16) return pack_b_bf16_rows_avx2(dst, b, j0, u0, u1);
    if (all && b.o.storage == GRAFT_F32 && b.type == GRAFT_F32) return pack_b_f32_rows_avx2(dst, b, j0, u0, u1);
    if (all && b.o.storage == GRAFT_U8 && b.type == GRAFT_BF16 && u0 % 64 == 0 && u1 % 64 == 0) return pack_b_nf4_bf16_rows_avx2(dst, b, j0, u0, u1);
    if (b.o.storage == GRAFT_U8)
        return b.o.form == kRows ? pack_b_nf4_rows_avx2(dst, b, j0, cols, u0, u1) : pack_b_nf4_cols_avx2(dst, b, j0, u0, u1);
    if (b.o.storage == GRAFT_BF16) return pack_b_from<From::bf16>(dst, b, j0, cols, u0, u1);
    if (b.type == GRAFT_BF16) return pack_b_from<From::narrowed>(dst, b, j0, cols, u0, u1);
    pack_b_from<From::f32>(dst, b, j0, cols, u0, u1);
}

inline bool pack_b_block_avx2(uint32_t* dst, int64_t pitch, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    if (b.o.storage != GRAFT_U8 || b.o.form != kCols || b.type != GRAFT_BF16 || j0 % 64) return false;
    pack_b_nf4_bf16_cols_avx2(dst, pitch, b, j0, u0, u1);
    return true;
}

}  // namespace graft::cpu

// NF4 on AVX2, as weights of bf16. The sixteen weights that a block can have are two tables of bytes, and pshufb looks
// up thirty-two codes at once; two blocks share a vector, a lane each. What follows are moves: bytes become bf16, dwords
// with two units of a row are transposed, and each of the two becomes f32 by a shift or a mask.
#pragma once
#include <immintrin.h>

#include <limits>

#include "gemm_kernel.h"

namespace graft::cpu {

// The codes' values 0 4 8 12, 2 6 10 14, 1 5 9 13 and 3 7 11 15, in both lanes: what NF4Bytes interleaves is in order.
struct NF4Columns {
    __m256 v[4];
};
GRAFT_AVX2 GRAFT_INLINE NF4Columns nf4_columns() {
    __m128 r[4];
    for (int i = 0; i < 4; i++) r[i] = _mm_loadu_ps(kNF4Table + 4 * i);
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    NF4Columns c;
    const int order[4] = {0, 2, 1, 3};
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) c.v[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(r[order[i]]), r[order[i]], 1);
    return c;
}

// The lower and the upper bytes of bf16(code * scale), each lane with a scale. Rounding is to nearest even. It would
// carry the payload of a NaN into its sign, so that the scales' has to be dropped before (nf4_scales8).
struct NF4Bytes {
    __m256i lower, upper;
};
GRAFT_AVX2 GRAFT_INLINE NF4Bytes nf4_bytes(const NF4Columns& codes, __m256 scale) {
    __m256i w[4];  // bf16 in the upper half of a dword
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m256i bits = _mm256_castps_si256(_mm256_mul_ps(codes.v[i], scale));
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        w[i] = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    }
    const __m256i even_codes = _mm256_blend_epi16(_mm256_srli_epi32(w[0], 16), w[1], 0xaa);
    const __m256i odd_codes = _mm256_blend_epi16(_mm256_srli_epi32(w[2], 16), w[3], 0xaa);
    const __m256i second_byte = _mm256_set1_epi16(int16_t(0xff00));
    return {_mm256_blendv_epi8(even_codes, _mm256_slli_epi16(odd_codes, 8), second_byte),
            _mm256_blendv_epi8(_mm256_srli_epi16(even_codes, 8), odd_codes, second_byte)};
}

// The scales of up to eight blocks, a step apart; behind the last, the last again.
GRAFT_AVX2 GRAFT_INLINE __m256 nf4_scales8(const NF4Scales& scales, int64_t first, int64_t step, int64_t count) {
    float s[8];
#pragma GCC unroll 8
    for (int64_t i = 0; i < 8; i++) s[i] = scales(first + step * std::min(i, count - 1));
    const __m256 v = _mm256_setr_ps(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
    return _mm256_blendv_ps(v, _mm256_set1_ps(std::numeric_limits<float>::quiet_NaN()), _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}
// Of those, the i-th in the first lane and the one four further on in the second.
GRAFT_AVX2 GRAFT_INLINE __m256 nf4_pair(__m256 scales, int i) { return _mm256_permutevar_ps(scales, _mm256_set1_epi32(i)); }

GRAFT_AVX2 GRAFT_INLINE __m256i nf4_lanes(const uint8_t* low, const uint8_t* high) {
    const __m128i l = _mm_loadu_si128(reinterpret_cast<const __m128i*>(low)), h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(high));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(l), h, 1);
}
// The first or the second code of each byte.
template <int SECOND> GRAFT_AVX2 GRAFT_INLINE __m256i nf4_codes(__m256i bytes) {
    return _mm256_and_si256(SECOND ? bytes : _mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
}
GRAFT_AVX2 GRAFT_INLINE void store_units(uint32_t* to, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }

// Dwords of rows i and 4+i in the lanes of r[i], each a unit (lower half) and the next but one: to dst[unit][16].
GRAFT_AVX2 GRAFT_INLINE void store_eight_rows(uint32_t* dst, const __m256i (&r)[4]) {
    const __m256i t[4] = {_mm256_unpacklo_epi32(r[0], r[1]), _mm256_unpacklo_epi32(r[2], r[3]), _mm256_unpackhi_epi32(r[0], r[1]),
                          _mm256_unpackhi_epi32(r[2], r[3])};
    const __m256i q[4] = {_mm256_unpacklo_epi64(t[0], t[1]), _mm256_unpackhi_epi64(t[0], t[1]), _mm256_unpacklo_epi64(t[2], t[3]),
                          _mm256_unpackhi_epi64(t[2], t[3])};
#pragma GCC unroll 4
    for (int d = 0; d < 4; d++) {
        store_units(dst + 4 * d * 16, _mm256_slli_epi32(q[d], 16));
        store_units(dst + (4 * d + 2) * 16, _mm256_and_si256(q[d], _mm256_set1_epi32(int(0xffff0000))));
    }
}

// Every second of 32 units of eight rows.
template <int SECOND> GRAFT_AVX2 GRAFT_INLINE void decode_eight_rows(uint32_t* dst, const __m256i (&bytes)[4], const NF4Bytes (&table)[4]) {
    __m256i low[4], high[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m256i code = nf4_codes<SECOND>(bytes[i]);
        const __m256i l = _mm256_shuffle_epi8(table[i].lower, code), h = _mm256_shuffle_epi8(table[i].upper, code);
        low[i] = _mm256_unpacklo_epi8(l, h), high[i] = _mm256_unpackhi_epi8(l, h);
    }
    store_eight_rows(dst + SECOND * 16, low);
    store_eight_rows(dst + (16 + SECOND) * 16, high);
}

// Sixteen rows, all there, [u0, u1) whole blocks. Eight rows at a time: a cache line of each is used up while they,
// which may be a power of two apart, are in L1.
GRAFT_AVX2 inline void pack_b_nf4_bf16_rows_avx2(uint32_t* dst, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int64_t row_bytes = b.contraction / 2, row_blocks = b.contraction / 64;
    const NF4Columns columns = nf4_columns();
    for (int half = 0; half < 16; half += 8) {
        const uint8_t* codes = static_cast<const uint8_t*>(b.o.p) + (j0 + half) * row_bytes;
        const int64_t blocks = (j0 + half) * row_blocks;
        for (int64_t u = u0; u < u1; u += 64) {
            const __m256 scales = nf4_scales8(b.o.scales, blocks + u / 64, row_blocks, 8);
            NF4Bytes table[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) table[i] = nf4_bytes(columns, nf4_pair(scales, i));
            for (int v = 0; v < 64; v += 32) {
                const uint8_t* from = codes + (u + v) / 2;
                __m256i bytes[4];
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) bytes[i] = nf4_lanes(from + i * row_bytes, from + (4 + i) * row_bytes);
                uint32_t* to = dst + (u - u0 + v) * 16 + half;
                decode_eight_rows<0>(to, bytes, table);
                decode_eight_rows<1>(to, bytes, table);
            }
        }
    }
}

// Sixteen columns of a row in lanes of four times four, as f32 to dst and to those after the next eight.
GRAFT_AVX2 GRAFT_INLINE void decode_columns(uint32_t* dst, __m256i code, const NF4Bytes& table, int64_t pitch) {
    const __m256i l = _mm256_shuffle_epi8(table.lower, code), h = _mm256_shuffle_epi8(table.upper, code);
    const __m256i first = _mm256_unpacklo_epi8(l, h), second = _mm256_unpackhi_epi8(l, h), zero = _mm256_setzero_si256();
    store_units(dst, _mm256_unpacklo_epi16(zero, first));
    store_units(dst + 8, _mm256_unpackhi_epi16(zero, first));
    store_units(dst + pitch, _mm256_unpacklo_epi16(zero, second));
    store_units(dst + pitch + 8, _mm256_unpackhi_epi16(zero, second));
}

// Four panels of columns, all there and of one block, to panels that are pitch units apart. A table serves a row's 64
// columns; those are dealt to the lanes by fours, so that widening ends with eight neighbours.
GRAFT_AVX2 inline void pack_b_nf4_bf16_cols_avx2(uint32_t* dst, int64_t pitch, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    const int64_t row_bytes = b.outer / 2, row_blocks = b.outer / 64;
    const uint8_t* codes = static_cast<const uint8_t*>(b.o.p) + j0 / 2;
    const NF4Columns columns = nf4_columns();
    const __m256i deal = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    for (int64_t u = u0; u < u1; u += 8) {
        const int64_t count = std::min<int64_t>(8, u1 - u);
        const __m256 scales = nf4_scales8(b.o.scales, u * row_blocks + j0 / 64, row_blocks, count);
        for (int i = 0; i < 4; i++) {
            const NF4Bytes both = nf4_bytes(columns, nf4_pair(scales, i));
            const NF4Bytes table[2] = {{_mm256_permute2x128_si256(both.lower, both.lower, 0x00), _mm256_permute2x128_si256(both.upper, both.upper, 0x00)},
                                       {_mm256_permute2x128_si256(both.lower, both.lower, 0x11), _mm256_permute2x128_si256(both.upper, both.upper, 0x11)}};
#pragma GCC unroll 2
            for (int lane = 0; lane < 2; lane++) {
                const int64_t row = i + 4 * lane;
                if (row >= count) break;
                const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + (u + row) * row_bytes));
                const __m256i bytes = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(from, deal), 0xd8);
                const __m256i first = nf4_codes<0>(bytes), second = nf4_codes<1>(bytes);
                uint32_t* to = dst + (u - u0 + row) * 16;
                decode_columns(to, _mm256_unpacklo_epi8(first, second), table[lane], pitch);
                decode_columns(to + 2 * pitch, _mm256_unpackhi_epi8(first, second), table[lane], pitch);
            }
        }
    }
}

}  // namespace graft::cpu

// NF4: 4-bit codes, two a byte, high nibble first, one fp32 absmax per 64 weights.
#pragma once
#include <immintrin.h>

#include "gemm_kernel.h"

namespace graft::cpu {

// A block's sixteen possible weights: bf16(code * absmax), twice, so that bit 4 of an index does not matter.
GRAFT_AVX512 GRAFT_INLINE __m512i nf4_block_table(float absmax) {
    __m512 w = _mm512_mul_ps(_mm512_loadu_ps(kNF4Table), _mm512_set1_ps(absmax));
    __m256i h = (__m256i)_mm512_cvtneps_pbh(w);
    return _mm512_inserti64x4(_mm512_castsi256_si512(h), h, 1);
}

// 32 weights in order from 16 bytes and a table of words. vpermw looks at five index bits only: no masking. Without
// bf16 of its own, so that nf4_dequantize takes it too.
__attribute__((target("avx512f,avx512bw"))) GRAFT_INLINE __m512i nf4_lookup32(const uint8_t* codes, __m512i table) {
    __m512i byte = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    __m512i index = _mm512_or_si512(_mm512_srli_epi32(byte, 4), _mm512_slli_epi32(byte, 16));
    return _mm512_permutexvar_epi16(index, table);
}
GRAFT_AVX512 GRAFT_INLINE __m512i nf4_decode32(const uint8_t* codes, float absmax) { return nf4_lookup32(codes, nf4_block_table(absmax)); }

}  // namespace graft::cpu

// Included by nf4_dequantize.cc for each instruction set.
//
//   decode_blocks<STREAM>(y, codes, scales, first, count)
//
// writes blocks [first, first + count) to y, one after the other. With STREAM the
// vectors of y are aligned and bypass the cache, which would read each line first.

#if GRAFT_LANES == 16
template <bool STREAM, class T> INLINE void put_vector(T* y, __m512i v) {
    if (STREAM) _mm512_stream_si512(reinterpret_cast<__m512i*>(y), v);
    else _mm512_storeu_si512(y, v);
}

template <bool STREAM> FAST void decode_blocks(bf16* y, const uint8_t* codes, const NF4Scales& scales, int64_t first, int64_t count) {
    const F values = load(kNF4Table);
    for (int64_t b = first; b < first + count; b++, y += 64) {
        const __m256i half = _mm512_cvtepi32_epi16(__m512i(to_bf16_bits(values * scales(b))));
        const __m512i table = _mm512_inserti64x4(_mm512_castsi256_si512(half), half, 1);
        put_vector<STREAM>(y, nf4_lookup32(codes + 32 * b, table));
        put_vector<STREAM>(y + 32, nf4_lookup32(codes + 32 * b + 16, table));
    }
}

template <bool STREAM> FAST void decode_blocks(float* y, const uint8_t* codes, const NF4Scales& scales, int64_t first, int64_t count) {
    const F values = load(kNF4Table);
    for (int64_t b = first; b < first + count; b++, y += 64) {
        const __m512 table = __m512(values * scales(b));
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {  // a byte is two lanes; vpermps looks at four bits of an index only
            const __m512i byte = _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + 32 * b + 8 * i)));
            const __m512i index = _mm512_or_si512(_mm512_srli_epi64(byte, 4), _mm512_slli_epi64(byte, 32));
            put_vector<STREAM>(y + 16 * i, _mm512_castps_si512(_mm512_permutexvar_ps(index, table)));
        }
    }
}

#elif GRAFT_LANES == 8
template <bool STREAM, class T> INLINE void put_vector(T* y, __m256i v) {
    if (STREAM) _mm256_stream_si256(reinterpret_cast<__m256i*>(y), v);
    else _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), v);
}

// A block by tables of bytes, the same in both lanes. Its dwords are dealt to the
// lanes in turn, so that interleaving twice ends with sixteen neighbours.
template <bool STREAM> INLINE void decode_block(bf16* y, const uint8_t* codes, __m256i lower, __m256i upper) {
    const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    const __m256i bytes = _mm256_permutevar8x32_epi32(from, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    const __m256i odd = nf4_codes<1>(bytes), even = nf4_codes<0>(bytes);
    const __m256i code[2] = {_mm256_unpacklo_epi8(even, odd), _mm256_unpackhi_epi8(even, odd)};
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        const __m256i l = _mm256_shuffle_epi8(lower, code[i]), u = _mm256_shuffle_epi8(upper, code[i]);
        put_vector<STREAM>(y + 32 * i, _mm256_unpacklo_epi8(l, u));
        put_vector<STREAM>(y + 32 * i + 16, _mm256_unpackhi_epi8(l, u));
    }
}

// The tables of two blocks are made in the lanes of a vector, the scales of eight
// together.
template <bool STREAM> FAST void decode_blocks(bf16* y, const uint8_t* codes, const NF4Scales& scales, int64_t first, int64_t count) {
    const NF4Columns columns = nf4_columns();
    codes += 32 * first;
    for (int64_t b = 0; b < count; b += 8) {
        const __m256 eight = nf4_scales8(scales, first + b, 1, count - b);
        for (int64_t i = b; i < std::min(b + 4, count); i++) {
            const NF4Bytes two = nf4_bytes(columns, nf4_pair(eight, int(i - b)));
            decode_block<STREAM>(y + 64 * i, codes + 32 * i, _mm256_permute2x128_si256(two.lower, two.lower, 0x00),
                                 _mm256_permute2x128_si256(two.upper, two.upper, 0x00));
            if (i + 4 < count)
                decode_block<STREAM>(y + 64 * (i + 4), codes + 32 * (i + 4), _mm256_permute2x128_si256(two.lower, two.lower, 0x11),
                                     _mm256_permute2x128_si256(two.upper, two.upper, 0x11));
        }
    }
}

template <bool STREAM> FAST void decode_blocks(float* y, const uint8_t* codes, const NF4Scales& scales, int64_t first, int64_t count) {
    for (int64_t b = first; b < first + count; b++, y += 64) {
        const NF4Block block = nf4_block(scales(b), GRAFT_F32);
#pragma GCC unroll 8
        for (int i = 0; i < 64; i += 8) put_vector<STREAM>(y + i, _mm256_castps_si256(nf4_decode8(codes + 32 * b + i / 2, block)));
    }
}

#else
// One pair after the other; streams are a matter of the others.
template <bool STREAM, class T> FAST void decode_blocks(T* y, const uint8_t* codes, const NF4Scales& scales, int64_t first, int64_t count) {
    for (int64_t b = first; b < first + count; b++, y += 64) {
        const float scale = scales(b);
        T table[16];
        for (int c = 0; c < 16; c++) put(table + c, kNF4Table[c] * scale);
        for (int i = 0; i < 32; i++) {
            const uint8_t pair = codes[32 * b + i];
            y[2 * i] = table[pair >> 4], y[2 * i + 1] = table[pair & 15];
        }
    }
}
#endif

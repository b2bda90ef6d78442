// Included by simd.h for each instruction set.

constexpr int kLanes = GRAFT_LANES;
typedef float F __attribute__((vector_size(4 * GRAFT_LANES)));
typedef uint32_t U __attribute__((vector_size(4 * GRAFT_LANES)));
typedef uint16_t H __attribute__((vector_size(2 * GRAFT_LANES)));

INLINE F splat(float x) { return x - F{}; }  // x + 0 would be computed, for −0

INLINE F load(const float* p) {
    F x;
    std::memcpy(&x, p, sizeof x);
    return x;
}
INLINE F load(const bf16* p) {
#if GRAFT_LANES == 16  // gcc would convert the halves one by one
    return F(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
#elif GRAFT_LANES == 8
    return F(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
#else
    H h;
    std::memcpy(&h, p, sizeof h);
    return F(__builtin_convertvector(h, U) << 16);
#endif
}
INLINE void store(float* p, F x) { std::memcpy(p, &x, sizeof x); }
// As to_bf16: nearest even, and a NaN stays one.
INLINE U to_bf16_bits(F x) {
    const U bits = U(x);
    const U nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return x == x ? nearest : bits >> 16 | 0x40;
}
INLINE void store(bf16* p, F x) {
    const U result = to_bf16_bits(x);
#if GRAFT_LANES == 16
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(__m512i(result)));
#elif GRAFT_LANES == 8
    const __m256i r = __m256i(result);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1)));
#else
    const H h = __builtin_convertvector(result, H);
    std::memcpy(p, &h, sizeof h);
#endif
}

// The first n elements, zeros behind them.
template <class T> INLINE F load(const T* p, int64_t n) {
    if (n >= kLanes) return load(p);
    T some[kLanes] = {};
    std::memcpy(some, p, size_t(n) * sizeof(T));
    return load(some);
}
template <class T> INLINE void store(T* p, F x, int64_t n) {
    if (n >= kLanes) return store(p, x);
    T some[kLanes];
    store(some, x);
    std::memcpy(p, some, size_t(n) * sizeof(T));
}
// x as it is after a store in the type of p.
INLINE F rounded(const float*, F x) { return x; }
INLINE F rounded(const bf16*, F x) { return F(to_bf16_bits(x) << 16); }

INLINE F max(F a, F b) { return a > b ? a : b; }

// Sums of lanes in a fixed order.
INLINE float sum(F x) {
    float lane[kLanes];
    store(lane, x);
    for (int n = kLanes / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) lane[i] += lane[i + n];
    return lane[0];
}

INLINE F sqrt(F x) {
#if GRAFT_LANES == 16
    return F(_mm512_maskz_sqrt_ps(__mmask16(0xffff), __m512(x)));
#elif GRAFT_LANES == 8
    return F(_mm256_sqrt_ps(__m256(x)));
#elif defined(__x86_64__)
    return F(_mm_sqrt_ps(__m128(x)));
#else
    for (int i = 0; i < kLanes; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

// e^r for |r| <= ln(2)/2, by its Taylor series to the seventh power: 2^-27 of
// error.
INLINE F exp_near_zero(F r) {
    F p = splat(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    return p * r + 1.0f;
}

// e^x = 2^n e^r with n = x/ln(2) rounded, and x − n ln(2) in two parts; at most
// 2 ulp, subnormal results, infinities and NaN included.
INLINE F exp(F x) {
    const F low = splat(-104.0f), high = splat(89.0f), magic = splat(12582912.0f);  // 1.5 * 2^23
#if GRAFT_LANES == 16  // these keep a NaN of their second argument; scalef goes below normal numbers by itself
    x = F(_mm512_maskz_min_ps(0xffff, __m512(high), _mm512_maskz_max_ps(0xffff, __m512(low), __m512(x))));
#else
    x = x < low ? low : x;
    x = x > high ? high : x;
#endif
    const F shifted = x * 1.44269504f + magic;
    const F n = shifted - magic;
    const F r = x - n * 0.693359375f + n * 2.12194440e-4f;
    const F p = exp_near_zero(r);
#if GRAFT_LANES == 16
    return F(_mm512_maskz_scalef_ps(0xffff, __m512(p), __m512(n)));
#else
    // 2^n in two factors, for n beyond the exponents of normal numbers.
    const U whole = U(shifted) - U(magic) + 256;  // n + 256, positive
    const U half = whole >> 1;
    return p * F((half - 1) << 23) * F((whole - half - 1) << 23);
#endif
}

INLINE F sigmoid(F x) { return 1.0f / (1.0f + exp(-x)); }

// tanh(x): its series where 1 − 2/(e^2x+1) would cancel.
INLINE F tanh(F x) {
    const F square = x * x;
    F p = splat(62.0f / 2835);
    p = p * square - 17.0f / 315;
    p = p * square + 2.0f / 15;
    p = p * square - 1.0f / 3;
    p = p * square * x + x;
    const F e = exp(x + x);
    const F far = 1.0f - 2.0f / (e + 1.0f);
    return square < 0.04f ? p : far;
}

// Rows as several operations need them.
template <class D, class S> FAST void cast(D* dst, const S* src, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) store(dst + i, load(src + i, n - i), n - i);
}

template <class T> FAST void add(T* dst, const T* a, const T* b, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) store(dst + i, load(a + i, n - i) + load(b + i, n - i), n - i);
}

template <class T> FAST void add_to(float* sum, const T* x, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) store(sum + i, load(sum + i, n - i) + load(x + i, n - i), n - i);
}

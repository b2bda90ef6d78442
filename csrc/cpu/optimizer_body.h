// Included by optimizer.cc for each instruction set.

FAST inline void sum_of_squares(double* out, const float* x, int64_t n) {
    double lanes[8] = {};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) lanes[k] += double(x[i + k]) * double(x[i + k]);
    for (; i < n; i++) lanes[0] += double(x[i]) * double(x[i]);
    *out = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

FAST inline void adamw(float* p, float* m, float* v, const float* g, int64_t n, AdamWStep s) {
    const float one1 = 1.0f - s.beta1, one2 = 1.0f - s.beta2;
    for (int64_t i = 0; i < n; i += kLanes) {
        const int64_t c = n - i;
        const F grad = load(g + i, c) * s.clip;
        const F first = load(m + i, c) * s.beta1 + grad * one1;
        const F second = load(v + i, c) * s.beta2 + grad * grad * one2;
        store(m + i, first, c);
        store(v + i, second, c);
        store(p + i, load(p + i, c) * s.keep - s.rate * first / (sqrt(second) * s.root + s.eps), c);
    }
}

// A value that is not fused with what follows.
INLINE F apart(F x) {
#if defined(__x86_64__)
    asm("" : "+x"(x));
#else
    asm("" : "+m"(x));
#endif
    return x;
}

// Elements of r, each rounded up or down to bf16 by 16 bits of its own.
FAST inline void adamw_bf16(bf16* p, float* m, float* v, const float* g, Range r, AdamWStep s, const uint32_t* seed) {
    const float one1 = 1.0f - s.beta1, one2 = 1.0f - s.beta2;
    Words words = {};
    for (int64_t i = r.begin; i < r.end; i += kLanes) {
        const int64_t c = r.end - i;
        const F grad = apart(load(g + i, c) * s.clip);
        const F first = apart(apart(load(m + i, c) * s.beta1) + apart(grad * one1));
        const F second = apart(apart(load(v + i, c) * s.beta2) + apart(apart(grad * grad) * one2));
        store(m + i, first, c);
        store(v + i, second, c);
        const F change = apart(s.rate * first) / (apart(apart(sqrt(second)) * s.root) + s.eps);
        float now[kLanes];
        store(now, apart(load(p + i, c) * s.keep) - apart(change));
        for (int64_t e = i; e < i + kLanes && e < r.end; e++) {
            if (e == r.begin || e % 4 == 0) words = philox({{uint32_t(e / 4), 0, seed[2], seed[3]}}, seed[0], seed[1]);
            uint32_t bits;
            std::memcpy(&bits, now + (e - i), 4);
            p[e] = (bits & 0x7f800000) == 0x7f800000 ? to_bf16(now[e - i]) : bf16{uint16_t((bits + (words.w[e % 4] >> 16)) >> 16)};
        }
    }
}

// Codes x [n] with the largest magnitude as the scale.
FAST inline void quantize(uint8_t* codes, float* scale, const float* x, int64_t n, const DynamicMap& map) {
    F most = {};
    for (int64_t i = 0; i < n; i += kLanes) {
        const F v = load(x + i, n - i);
        most = max(most, max(v, -v));
    }
    float lane[kLanes], largest = 0;
    store(lane, most);
    for (int k = 0; k < kLanes; k++) largest = lane[k] > largest ? lane[k] : largest;
    *scale = largest;
    const float inverse = 1.0f / (largest > 1e-38f ? largest : 1e-38f);
    int32_t wide[kStateBlock];
    for (int64_t i = 0; i < n; i++) {  // look-ups that become gathers
        const float v = x[i] * inverse;
        uint32_t bits;
        std::memcpy(&bits, &v, 4);
        int32_t key = int32_t((bits & 0x7fffffff) >> 16) - DynamicMap::kLow;
        key = key < 0 ? 0 : key;
        key = key > DynamicMap::kBuckets - 1 ? DynamicMap::kBuckets - 1 : key;
        const int32_t low = map.start[key + int32_t(bits >> 31) * DynamicMap::kBuckets];
        wide[i] = low + (map.mid[low] < v);
    }
    for (int64_t i = 0; i < n; i++) codes[i] = uint8_t(wide[i]);
}

// adamw of one block of at most kStateBlock elements.
FAST inline void adamw8(float* p, uint8_t* m, uint8_t* v, float* m_scale, float* v_scale, const float* g, int64_t n, AdamWStep s) {
    float first[kStateBlock], second[kStateBlock];
    for (int64_t i = 0; i < n; i++) first[i] = kSignedMap.value[m[i]] * *m_scale;
    for (int64_t i = 0; i < n; i++) second[i] = kUnsignedMap.value[v[i]] * *v_scale;
    adamw(p, first, second, g, n, s);
    quantize(m, m_scale, first, n, kSignedMap);
    quantize(v, v_scale, second, n, kUnsignedMap);
}

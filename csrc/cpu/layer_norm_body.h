// Included by layer_norm.cc for each instruction set.

// The lanes of v that lie in a row of which n elements are left; zeros in the others.
INLINE F within(F v, int64_t n) {
    if (n >= kLanes) return v;
    float some[kLanes];
    store(some, v);
    return load(some, n);
}

template <class T, class W>
FAST void layer_norm_row(T* y, float* mean, float* rstd, const T* x, const W* w, const W* bias, int64_t h, float eps) {
    F total = {}, squares = {};
    for (int64_t j = 0; j < h; j += kLanes) total += load(x + j, h - j);
    const float m = sum(total) / float(h);
    for (int64_t j = 0; j < h; j += kLanes) {
        const F v = within(load(x + j, h - j) - m, h - j);
        squares += v * v;
    }
    const float r = 1.0f / __builtin_sqrtf(sum(squares) / float(h) + eps);
    *mean = m, *rstd = r;
    for (int64_t j = 0; j < h; j += kLanes)
        store(y + j, (load(x + j, h - j) - m) * r * load(w + j, h - j) + load(bias + j, h - j), h - j);
}

template <class T, class W>
FAST void layer_norm_dx_row(T* dx, const T* dy, const T* x, const W* w, float mean, float rstd, int64_t h, bool accumulate) {
    F total = {}, dot = {};
    for (int64_t j = 0; j < h; j += kLanes) {
        const F g = load(dy + j, h - j) * load(w + j, h - j);
        total += g;
        dot += g * (load(x + j, h - j) - mean);  // g is zero behind the row
    }
    const float g_mean = sum(total) / float(h), c = sum(dot) / float(h) * rstd * rstd;
    for (int64_t j = 0; j < h; j += kLanes) {
        F d = rstd * (load(dy + j, h - j) * load(w + j, h - j) - g_mean - (load(x + j, h - j) - mean) * c);
        if (accumulate) d += load(dx + j, h - j);
        store(dx + j, d, h - j);
    }
}

template <class T>
FAST void layer_norm_dw(float* dw, float* dbias, const T* dy, int64_t dy_pitch, const T* x, int64_t x_pitch,
                        const float* mean, const float* rstd, int64_t n, int64_t h) {
    for (int64_t j = 0; j < h; j += kLanes) {
        F by_weight = {}, by_bias = {};
        for (int64_t i = 0; i < n; i++) {
            const F g = load(dy + i * dy_pitch + j, h - j);
            by_weight += g * ((load(x + i * x_pitch + j, h - j) - mean[i]) * rstd[i]);
            by_bias += g;
        }
        if (dw) store(dw + j, load(dw + j, h - j) + by_weight, h - j);
        if (dbias) store(dbias + j, load(dbias + j, h - j) + by_bias, h - j);
    }
}

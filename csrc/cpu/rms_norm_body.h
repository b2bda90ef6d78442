// Included by rms_norm.cc for each instruction set.

template <class T, class W>
FAST void rms_norm_row(T* y, float* rstd, const T* x, const W* w, int64_t h, float eps, bool unit_offset) {
    F squares = {};
    for (int64_t j = 0; j < h; j += kLanes) {
        const F v = load(x + j, h - j);
        squares += v * v;
    }
    const float r = 1.0f / __builtin_sqrtf(sum(squares) / float(h) + eps);
    *rstd = r;
    for (int64_t j = 0; j < h; j += kLanes) {
        const F v = load(x + j, h - j) * r, weight = load(w + j, h - j);
        store(y + j, unit_offset ? v * (1.0f + weight) : rounded(y, v) * weight, h - j);
    }
}

template <class T, class W>
FAST void rms_norm_dx_row(T* dx, const T* dy, const T* x, const W* w, float rstd, int64_t h, bool unit_offset,
                          bool accumulate) {
    const float one = unit_offset ? 1.0f : 0.0f;
    F dot = {};
    for (int64_t j = 0; j < h; j += kLanes)
        dot += load(dy + j, h - j) * (load(w + j, h - j) + one) * load(x + j, h - j);
    const float c = sum(dot) / float(h) * rstd * rstd;
    for (int64_t j = 0; j < h; j += kLanes) {
        F d = rstd * (load(dy + j, h - j) * (load(w + j, h - j) + one) - load(x + j, h - j) * c);
        if (accumulate) d += load(dx + j, h - j);
        store(dx + j, d, h - j);
    }
}

template <class T>
FAST void rms_norm_dw(float* dw, const T* dy, int64_t dy_pitch, const T* x, int64_t x_pitch, const float* rstd, int64_t n,
                      int64_t h, bool unit_offset) {
    for (int64_t j = 0; j < h; j += kLanes) {
        F total = {};
        for (int64_t i = 0; i < n; i++) {
            const F v = load(x + i * x_pitch + j, h - j) * rstd[i];
            total += load(dy + i * dy_pitch + j, h - j) * (unit_offset ? v : rounded(x, v));
        }
        store(dw + j, load(dw + j, h - j) + total, h - j);
    }
}

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

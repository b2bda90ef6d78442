// Included by core_test.cc for each instruction set.

FAST inline void functions(float* e, float* t, float* root, const float* x, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) {
        const F v = load(x + i, n - i);
        store(e + i, exp(v), n - i);
        store(t + i, tanh(v), n - i);
        store(root + i, sqrt(v), n - i);
    }
}

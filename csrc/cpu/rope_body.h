// Included by rope.cc for each instruction set.

template <class T, class C> FAST void rotate(T* y, const T* x, const C* table, int64_t half, float sign) {
    for (int64_t i = 0; i < half; i += kLanes) {
        const int64_t n = half - i;
        const F a = load(x + i, n), b = load(x + half + i, n);
        const F c = load(table + i, n), s = load(table + half + i, n) * sign;
        store(y + i, a * c - b * s, n);
        store(y + half + i, b * c + a * s, n);
    }
}

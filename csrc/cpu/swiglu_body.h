// Included by swiglu.cc for each instruction set.

template <class T> FAST void swiglu(T* y, const T* gate, const T* up, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) {
        const F g = load(gate + i, n - i);
        store(y + i, g * sigmoid(g) * load(up + i, n - i), n - i);
    }
}

template <class T> FAST void swiglu_backward(T* dgate, T* dup, const T* dy, const T* gate, const T* up, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) {
        const F g = load(gate + i, n - i), d = load(dy + i, n - i), u = load(up + i, n - i), s = sigmoid(g);
        store(dgate + i, d * u * s * (1.0f + g * (1.0f - s)), n - i);
        store(dup + i, d * g * s, n - i);
    }
}

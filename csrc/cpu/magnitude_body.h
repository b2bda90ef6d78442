// Included by magnitude.cc for each instruction set. residual, bias and gate may be null.

template <class T, class B>
FAST void magnitude_row(T* y, const T* z, const T* residual, const float* m, const float* norm, const B* bias, float gate,
                        int64_t n) {
    for (int64_t j = 0; j < n; j += kLanes) {
        const int64_t c = n - j;
        F v = load(z + j, c) * ((1.0f - gate) + gate * (load(m + j, c) / load(norm + j, c)));
        if (residual) v += load(residual + j, c);
        if (bias) v += load(bias + j, c);
        store(y + j, v, c);
    }
}

template <class T>
FAST void magnitude_dm(float* dm, const T* dy, int64_t dy_pitch, const T* z, int64_t z_pitch, const float* norm,
                       const float* gate, int64_t rows, int64_t n) {
    for (int64_t j = 0; j < n; j += kLanes) {
        F total = {};
        for (int64_t t = 0; t < rows; t++)
            total += load(dy + t * dy_pitch + j, n - j) * load(z + t * z_pitch + j, n - j) * (gate ? gate[t] : 1.0f);
        store(dm + j, load(dm + j, n - j) + total / load(norm + j, n - j), n - j);
    }
}

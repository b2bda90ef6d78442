// Included by pool.cc for each instruction set. A sequence has length rows, one at least.

template <class T> FAST void pool_mean(T* y, const T* x, int64_t pitch, int64_t length, int64_t h) {
    for (int64_t j = 0; j < h; j += kLanes) {
        F total = {};
        for (int64_t t = 0; t < length; t++) total += load(x + t * pitch + j, h - j);
        store(y + j, total / float(length), h - j);
    }
}

template <class T> FAST void pool_mean_backward(T* dx, const T* dy, int64_t pitch, int64_t length, int64_t h) {
    for (int64_t j = 0; j < h; j += kLanes) {
        const F d = load(dy + j, h - j) / float(length);
        for (int64_t t = 0; t < length; t++) store(dx + t * pitch + j, d, h - j);
    }
}

template <class T> FAST void pool_max(T* y, const T* x, int64_t pitch, int64_t length, int64_t h) {
    for (int64_t j = 0; j < h; j += kLanes) {
        F top = load(x + j, h - j);
        for (int64_t t = 1; t < length; t++) top = max(load(x + t * pitch + j, h - j), top);
        store(y + j, top, h - j);
    }
}

// dx is zero; dy goes to the first row that holds the maximum of its column.
template <class T>
FAST void pool_max_backward(T* dx, int64_t dx_pitch, const T* dy, const T* x, int64_t x_pitch, int64_t length, int64_t h) {
    for (int64_t j = 0; j < h; j++) {
        int64_t best = 0;
        for (int64_t t = 1; t < length; t++)
            if (widen(x[t * x_pitch + j]) > widen(x[best * x_pitch + j])) best = t;
        dx[best * dx_pitch + j] = dy[j];
    }
}

// Included by weight_norm.cc for each instruction set.

// part += scale b A, of which a are the columns; then the squares of part are added to *squares.
FAST inline void add_squares(float* squares, float* part, const float* a, int64_t pitch, const float* b, int64_t rank,
                             float scale, int64_t n) {
    for (int64_t k = 0; k < rank; k++) {
        const float f = scale * b[k];
        for (int64_t i = 0; i < n; i += kLanes) store(part + i, load(part + i, n - i) + f * load(a + k * pitch + i, n - i), n - i);
    }
    F total = {};
    for (int64_t i = 0; i < n; i += kLanes) {
        const F x = load(part + i, n - i);
        total += x * x;
    }
    *squares += sum(total);
}

// Included by few_rows.cc for each instruction set.

// n elements of a row of the weight as the product sees them, from the k-th, with zeros up to whole vectors.
INLINE void read_row(float* to, const Source& w, int64_t row, int64_t k, int64_t n) {
    const int64_t first = row * w.o.ld + k;
    switch (w.o.storage) {
        case GRAFT_BF16:
            for (int64_t i = 0; i < n; i += kLanes) store(to + i, load(static_cast<const bf16*>(w.o.p) + first + i, n - i));
            return;
        case GRAFT_U8:
#if GRAFT_LANES == 8  // k and n are multiples of the 64 of a block
            for (int64_t i = 0; i < n; i += 64) {
                const NF4Block block = nf4_block(w.o.scales((first + i) / 64), w.type);
                const uint8_t* codes = static_cast<const uint8_t*>(w.o.p) + (first + i) / 2;
#pragma GCC unroll 8
                for (int j = 0; j < 64; j += 8) store(to + i + j, F(nf4_decode8(codes + j / 2, block)));
            }
#else
            read_contraction(w, row, k, n, to);
#endif
            return;
        default:
            for (int64_t i = 0; i < n; i += kLanes) {
                const F v = load(static_cast<const float*>(w.o.p) + first + i, n - i);
                store(to + i, w.type == GRAFT_BF16 ? rounded(static_cast<const bf16*>(nullptr), v) : v);
            }
    }
}

// sums[i][j] += x[i] w[j], lane by lane, for M rows of x and four of the weight.
template <int M>
INLINE void multiply(float (*sums)[4][kLanes], const float* x, int64_t x_row, const float (*w)[kFewUnits], int64_t n) {
    F sum[M][4];
#pragma GCC unroll 2
    for (int i = 0; i < M; i++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) sum[i][j] = load(sums[i][j]);
    for (int64_t k = 0; k < n; k += kLanes) {
        F left[M];
#pragma GCC unroll 2
        for (int i = 0; i < M; i++) left[i] = load(x + i * x_row + k);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const F right = load(w[j] + k);
#pragma GCC unroll 2
            for (int i = 0; i < M; i++) sum[i][j] += left[i] * right;
        }
    }
#pragma GCC unroll 2
    for (int i = 0; i < M; i++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) store(sums[i][j], sum[i][j]);
}

// Columns [j0, j0+cols) of C, four at most.
template <class C> FAST void few_columns(const FewRows& f, int64_t j0, int64_t cols) {
    const Gemm& g = f.g;
    float sums[kFewRows + kFewRows % 2][4][kLanes] = {};
    float w[4][kFewUnits];
    for (const FewRows::Term& t : f.terms)
        for (int64_t k = 0; k < t.w.contraction; k += kFewUnits) {
            const int64_t n = std::min(kFewUnits, t.w.contraction - k);
            for (int64_t j = 0; j < 4; j++) read_row(w[j], t.w, j0 + std::min(j, cols - 1), k, n);
            int64_t i = 0;
            for (; i + 2 <= g.m; i += 2) multiply<2>(sums + i, t.x + i * t.x_row + k, t.x_row, w, n);
            if (i < g.m) multiply<1>(sums + i, t.x + i * t.x_row + k, t.x_row, w, n);
        }
    for (int64_t i = 0; i < g.m; i++)
        for (int64_t j = 0; j < cols; j++) {
            C* c = static_cast<C*>(g.c) + i * g.ldc + j0 + j;
            float v = g.alpha * sum(load(sums[i][j])) + (f.bias ? f.bias[j0 + j] : 0);
            if (g.beta != 0) v += g.beta * widen(*c);
            put(c, v);
        }
}

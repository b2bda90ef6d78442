// Included by attention.cc for each instruction set.

// c[i][j] += sum over k of a[i a_row + k a_step] b[k ldb + j], for R rows and
// C vectors of columns, in registers.
template <int R, int C>
INLINE void tile(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t ldb,
                 int64_t depth) {
    F sum[R][C];
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) sum[i][j] = load(c + i * ldc + j * kLanes);
    for (int64_t k = 0; k < depth; k++, a += a_step, b += ldb) {
        F right[C];
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) right[j] = load(b + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
            const F left = splat(a[i * a_row]);
#pragma GCC unroll 4
            for (int j = 0; j < C; j++) sum[i][j] += left * right[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) store(c + i * ldc + j * kLanes, sum[i][j]);
}

// C [m][n] += A B; n in whole vectors.
template <int C>
INLINE void product_columns(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t ldb,
                            int64_t m, int64_t depth) {
    constexpr int R = 6;
    int64_t i = 0;
    for (; i + R <= m; i += R) tile<R, C>(c + i * ldc, ldc, a + i * a_row, a_row, a_step, b, ldb, depth);
    for (; i + 2 <= m; i += 2) tile<2, C>(c + i * ldc, ldc, a + i * a_row, a_row, a_step, b, ldb, depth);
    if (i < m) tile<1, C>(c + i * ldc, ldc, a + i * a_row, a_row, a_step, b, ldb, depth);
}
FAST inline void product(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t ldb,
                         int64_t m, int64_t n, int64_t depth) {
    constexpr int C = kLanes == 16 ? 4 : 2;  // sums of 6 x C vectors, and what is multiplied, fit the registers
    int64_t j = 0;
    for (; j + C * kLanes <= n; j += C * kLanes) product_columns<C>(c + j, ldc, a, a_row, a_step, b + j, ldb, m, depth);
    for (; j < n; j += kLanes) product_columns<1>(c + j, ldc, a, a_row, a_step, b + j, ldb, m, depth);
}

// Rows of dim elements as floats, zeros up to the padded width.
template <class T>
INLINE void widen_row(float* to, const T* from, int64_t dim, int64_t padded) {
    for (int64_t d = 0; d < padded; d += kLanes) store(to + d, d < dim ? load(from + d, dim - d) : F{});
}
template <class T>
FAST void transpose_row(float* to, int64_t ld, const T* from, int64_t dim) {
    for (int64_t d = 0; d < dim; d++) to[d * ld] = widen(from[d]);
}

template <class T> INLINE const T* row_of(const graft_tensor& t, int64_t row, int64_t head, int64_t dim) {
    return static_cast<const T*>(t.data) + row * t.pitch + head * dim;
}

// ---- Forward: scores are transposed, [key][row], so that the softmax of a row runs down a lane.

template <class T>
FAST void attention_start(const AttentionBuffers& b, const AttentionShape& a, const graft_tensor& q, const QueryBlock& block,
                          int64_t kv_head) {
    const int64_t n = block.count * a.group;
    std::memset(b.q, 0, size_t(a.dim * kQueryRows) * sizeof(float));
    for (int64_t r = 0; r < n; r++)
        transpose_row(b.q + r, kQueryRows,
                      row_of<T>(q, block.first + r / a.group, kv_head * a.group + r % a.group, a.dim), a.dim);
    std::memset(b.o, 0, size_t(n * a.padded) * sizeof(float));
    for (int64_t r = 0; r < kQueryRows; r++) b.top[r] = -HUGE_VALF, b.total[r] = 0;
}

template <class T>
FAST void attention_step(const AttentionBuffers& b, const AttentionShape& a, const QueryBlock& block, const KeyBlock& keys,
                         int64_t kv_head) {
    const int64_t n = block.count * a.group, width = pad16(n);
    for (int64_t j = 0; j < keys.count; j++) {
        widen_row(b.k + j * a.padded, row_of<T>(*keys.k, keys.first + keys.begin + j, kv_head, a.dim), a.dim, a.padded);
        widen_row(b.v + j * a.padded, row_of<T>(*keys.v, keys.first + keys.begin + j, kv_head, a.dim), a.dim, a.padded);
        std::memset(b.s + j * kQueryRows, 0, size_t(width) * sizeof(float));
    }
    product(b.s, kQueryRows, b.k, a.padded, 1, b.q, kQueryRows, keys.count, width, a.dim);
    softmax_step(b, a, block, keys);
    product(b.o, a.padded, b.s, 1, kQueryRows, b.v, a.padded, n, a.padded, keys.count);
}

template <class T>
FAST void attention_finish(const AttentionBuffers& b, const AttentionShape& a, const graft_tensor& o, const graft_tensor& lse,
                           const QueryBlock& block, int64_t kv_head) {
    for (int64_t r = 0; r < block.count * a.group; r++) {
        const int64_t t = block.first + r / a.group, head = kv_head * a.group + r % a.group;
        const float total = b.total[r], inverse = total > 0 ? 1.0f / total : total;
        T* to = static_cast<T*>(o.data) + t * o.pitch + head * a.dim;
        for (int64_t d = 0; d < a.dim; d += kLanes) store(to + d, load(b.o + r * a.padded + d) * inverse, a.dim - d);
        static_cast<float*>(lse.data)[t * lse.pitch + head] = b.top[r] + std::log(total);
    }
}

// ---- Backward, for one block of keys: scores are [row][key].

template <class T>
FAST void attention_load_keys(const AttentionBuffers& b, const AttentionShape& a, const KeyBlock& keys, int64_t kv_head) {
    std::memset(b.kt, 0, size_t(a.dim * kKeyBlock) * sizeof(float));
    std::memset(b.vt, 0, size_t(a.dim * kKeyBlock) * sizeof(float));
    for (int64_t j = 0; j < keys.count; j++) {
        const T* k = row_of<T>(*keys.k, keys.first + keys.begin + j, kv_head, a.dim);
        widen_row(b.k + j * a.padded, k, a.dim, a.padded);
        transpose_row(b.kt + j, kKeyBlock, k, a.dim);
        transpose_row(b.vt + j, kKeyBlock, row_of<T>(*keys.v, keys.first + keys.begin + j, kv_head, a.dim), a.dim);
    }
    std::memset(b.dk, 0, size_t(kKeyBlock * a.padded) * sizeof(float));
    std::memset(b.dv, 0, size_t(kKeyBlock * a.padded) * sizeof(float));
}

// Adds to dk and dv of the block, and to dq [row][padded] where it is given.
template <class T>
FAST void attention_backward_step(const AttentionBuffers& b, const AttentionShape& a, const graft_attention_backward_args& g,
                                  const QueryBlock& block, const KeyBlock& keys, int64_t kv_head, const float* delta,
                                  float* dq) {
    const int64_t n = block.count * a.group, count = keys_seen(a, block, keys), width = pad16(count);
    for (int64_t r = 0; r < n; r++) {
        const int64_t t = block.first + r / a.group, head = kv_head * a.group + r % a.group;
        widen_row(b.q + r * a.padded, row_of<T>(g.q, t, head, a.dim), a.dim, a.padded);
        widen_row(b.d_o + r * a.padded, row_of<T>(g.d_o, t, head, a.dim), a.dim, a.padded);
    }
    std::memset(b.s, 0, size_t(n * kKeyBlock) * sizeof(float));
    std::memset(b.dp, 0, size_t(n * kKeyBlock) * sizeof(float));
    product(b.s, kKeyBlock, b.q, a.padded, 1, b.kt, kKeyBlock, n, width, a.dim);
    product(b.dp, kKeyBlock, b.d_o, a.padded, 1, b.vt, kKeyBlock, n, width, a.dim);
    for (int64_t r = 0; r < n; r++) {
        const int64_t t = block.first + r / a.group, head = kv_head * a.group + r % a.group;
        const float lse = static_cast<const float*>(g.lse.data)[t * g.lse.pitch + head];
        const float d = delta[t * a.heads + head];
        const Range seen = visible(a, keys, block.place + r / a.group);
        float *s = b.s + r * kKeyBlock, *dp = b.dp + r * kKeyBlock;
        for (int64_t j = 0; j < width; j += kLanes) {
            F x = load(s + j) * a.scale, slope = splat(a.scale);
            if (a.soft_cap > 0) {
                const F c = tanh(x / a.soft_cap);
                x = c * a.soft_cap;
                slope = slope * (1.0f - c * c);
            }
            const F p = exp(x - lse);
            store(s + j, p);
            store(dp + j, p * (load(dp + j) - d) * slope);
        }
        for (int64_t j = 0; j < seen.begin && j < width; j++) s[j] = dp[j] = 0;
        for (int64_t j = seen.end; j < width; j++) s[j] = dp[j] = 0;
    }
    product(b.dv, a.padded, b.s, 1, kKeyBlock, b.d_o, a.padded, count, a.padded, n);
    product(b.dk, a.padded, b.dp, 1, kKeyBlock, b.q, a.padded, count, a.padded, n);
    if (dq) product(dq, a.padded, b.dp, kKeyBlock, 1, b.k, a.padded, n, a.padded, count);
}

template <class T>
FAST void attention_deltas(float* delta, const AttentionShape& a, const graft_attention_backward_args& g, int64_t t) {
    for (int64_t head = 0; head < a.heads; head++) {
        const T *o = row_of<T>(g.o, t, head, a.dim), *d = row_of<T>(g.d_o, t, head, a.dim);
        F dot = {};
        for (int64_t i = 0; i < a.dim; i += kLanes) dot += load(o + i, a.dim - i) * load(d + i, a.dim - i);
        delta[t * a.heads + head] = sum(dot);
    }
}

template <class T> FAST void narrow_row(void* to, const float* from, int64_t dim) {
    for (int64_t d = 0; d < dim; d += kLanes) store(static_cast<T*>(to) + d, load(from + d, dim - d), dim - d);
}

template <class T> void attention_kernels(AttentionKernels* to) {
    *to = {attention_start<T>,         attention_step<T>,   attention_finish<T>, attention_load_keys<T>,
           attention_backward_step<T>, attention_deltas<T>, narrow_row<T>};
}

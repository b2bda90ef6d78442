// Included by attention.cc for each instruction set.

// c[i][j] += sum over k of a[i a_row + k a_step] b[k ldb + j], for R rows and
// C vectors of columns, in registers.
template <int R, int C>
INLINE void tile(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t ldb,
                 int64_t depth) {
    F sum[R][C];
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 2
        for (int j = 0; j < C; j++) sum[i][j] = load(c + i * ldc + j * kLanes);
    for (int64_t k = 0; k < depth; k++, a += a_step, b += ldb) {
        F right[C];
#pragma GCC unroll 2
        for (int j = 0; j < C; j++) right[j] = load(b + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
            const F left = splat(a[i * a_row]);
#pragma GCC unroll 2
            for (int j = 0; j < C; j++) sum[i][j] += left * right[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 2
        for (int j = 0; j < C; j++) store(c + i * ldc + j * kLanes, sum[i][j]);
}

// C [m][n] += A B; n in whole vectors.
FAST inline void product(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t ldb,
                         int64_t m, int64_t n, int64_t depth) {
    constexpr int R = kLanes == 16 ? 8 : 6;
    for (int64_t j = 0; j < n; j += 2 * kLanes) {
        const bool two = j + 2 * kLanes <= n;
        int64_t i = 0;
        for (; i + R <= m; i += R) {
            if (two) tile<R, 2>(c + i * ldc + j, ldc, a + i * a_row, a_row, a_step, b + j, ldb, depth);
            else tile<R, 1>(c + i * ldc + j, ldc, a + i * a_row, a_row, a_step, b + j, ldb, depth);
        }
        for (; i < m; i++) {
            if (two) tile<1, 2>(c + i * ldc + j, ldc, a + i * a_row, a_row, a_step, b + j, ldb, depth);
            else tile<1, 1>(c + i * ldc + j, ldc, a + i * a_row, a_row, a_step, b + j, ldb, depth);
        }
    }
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

// Which of the keys of a block the query at a place sees: [begin, end), counted from the block's first.
INLINE Range visible(const AttentionShape& a, const KeyBlock& keys, int64_t place) {
    if (keys.prefix) return {0, keys.count};
    const int64_t end = a.causal ? std::min(keys.count, place - keys.begin + 1) : keys.count;
    const int64_t begin = a.window > 0 ? std::max<int64_t>(0, place - a.window + 1 - keys.begin) : 0;
    return {begin, std::max(begin, end)};
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
    const F low = splat(-HUGE_VALF);
    for (int64_t j = 0; j < keys.count; j++)
        for (int64_t r = 0; r < width; r += kLanes) {
            float* at = b.s + j * kQueryRows + r;
            F x = load(at) * a.scale;
            if (a.soft_cap > 0) x = tanh(x / a.soft_cap) * a.soft_cap;
            store(at, x);
        }
    if (!keys.prefix && (a.causal || a.window > 0))
        for (int64_t i = 0; i < block.count; i++) {
            const Range seen = visible(a, keys, block.place + i);
            for (int64_t j = 0; j < keys.count; j++)
                if (j < seen.begin || j >= seen.end)
                    for (int64_t g = 0; g < a.group; g++) b.s[j * kQueryRows + i * a.group + g] = -HUGE_VALF;
        }
    float shrink[kQueryRows];
    for (int64_t r = 0; r < width; r += kLanes) {
        const F old = load(b.top + r);
        F top = old;
        for (int64_t j = 0; j < keys.count; j++) top = max(top, load(b.s + j * kQueryRows + r));
        const F finite = top > low ? top : F{};  // a row that sees nothing yet: e^-inf is 0
        const F factor = exp(old - finite);
        F total = load(b.total + r) * factor;
        for (int64_t j = 0; j < keys.count; j++) {
            float* at = b.s + j * kQueryRows + r;
            const F p = exp(load(at) - finite);
            total += p;
            store(at, p);
        }
        store(b.top + r, top);
        store(b.total + r, total);
        store(shrink + r, factor);
    }
    for (int64_t r = 0; r < n; r++) {
        if (shrink[r] == 1.0f) continue;
        float* o = b.o + r * a.padded;
        for (int64_t d = 0; d < a.padded; d += kLanes) store(o + d, load(o + d) * shrink[r]);
    }
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
    const int64_t n = block.count * a.group, width = pad16(keys.count);
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
    product(b.dv, a.padded, b.s, 1, kKeyBlock, b.d_o, a.padded, keys.count, a.padded, n);
    product(b.dk, a.padded, b.dp, 1, kKeyBlock, b.q, a.padded, keys.count, a.padded, n);
    if (dq) product(dq, a.padded, b.dp, kKeyBlock, 1, b.k, a.padded, n, a.padded, keys.count);
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

template <class T> FAST void narrow_row(T* to, const float* from, int64_t dim) {
    for (int64_t d = 0; d < dim; d += kLanes) store(to + d, load(from + d, dim - d), dim - d);
}

// Heads of bf16 rows as tiles in shared memory, and what attention on tensor cores
// does with scores in registers.
#pragma once

#include "attention.cuh"
#include "tile.cuh"

namespace graft::cuda {

constexpr int kAttentionBlock = 128;  // 4 warps
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// A row-major matrix of heads of dim elements, and whether whole chunks of 16
// bytes may be copied from it.
struct Rows {
    Matrix<const bf16> of;
    bool aligned;
};
template <class T> bool chunks(const Matrix<T>& m, int dim) {
    return dim % 8 == 0 && m.pitch % 8 == 0 && reinterpret_cast<uintptr_t>(m.data) % 16 == 0;
}
__device__ inline Rows either(bool first, const Rows& a, const Rows& b) {
    return {either(first, a.of, b.of), first ? a.aligned : b.aligned};
}
inline Rows rows_of(const Matrix<const bf16>& m, int dim) { return {m, chunks(m, dim)}; }

// Starts the copy of rows [first, first + count) of a head; what lies beyond them,
// or beyond dim, becomes zero. The whole block calls it.
template <int D> __device__ inline void load_tile(bf16* to, const Rows& from, int first, int count, int size, int head, int dim) {
    for (int i = threadIdx.x; i < size * (D / 8); i += kAttentionBlock) {
        const int row = i / (D / 8), col = i % (D / 8) * 8, left = row < count ? dim - col : 0;
        const bf16* source = left > 0 ? from.of.row(first + row) + int64_t(head) * dim + col : from.of.data;
        copy_chunk(to + row * (D + 8) + col, source, left, from.aligned);
    }
}

// tanh from one exponential. Its error, 1e-7 of the cap, is far below that of a bf16
// product, and it is a sixth of the instructions of tanhf, times every score in registers.
__device__ inline float quick_tanh(float x) {
    return 1.0f - 2.0f / (1.0f + exp2f(2.0f * kLog2e * x));
}
// score of attention.cuh with it.
__device__ inline float capped_score(const Attention<bf16>& p, float product, float* slope) {
    const float z = p.scale * product;
    *slope = p.scale;
    if (p.cap <= 0.0f) return z;
    const float t = quick_tanh(z / p.cap);
    *slope = p.scale * (1.0f - t * t);
    return p.cap * t;
}

// Scores of 16 rows become weights relative to the running maximum; sum and mass
// shrink with it. Scores are in base 2.
template <int N, int M>
__device__ inline void renormalise(float (&z)[N][4], float (&sum)[M][4], float (&top)[2], float (&mass)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float next = top[half];
#pragma unroll
        for (int n = 0; n < N; ++n) next = fmaxf(next, fmaxf(z[n][2 * half], z[n][2 * half + 1]));
        next = fmaxf(next, __shfl_xor_sync(kFullMask, next, 1));
        next = fmaxf(next, __shfl_xor_sync(kFullMask, next, 2));
        const float base = next == -INFINITY ? 0.0f : next;  // nothing seen yet: all weights are 0
        const float shrink = exp2f(top[half] - base);
        top[half] = next;
        float part = 0.0f;
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
            for (int e = 2 * half; e < 2 * half + 2; ++e) {
                z[n][e] = exp2f(z[n][e] - base);
                part += z[n][e];
            }
        mass[half] = mass[half] * shrink + part;
#pragma unroll
        for (int m = 0; m < M; ++m) {
            sum[m][2 * half] *= shrink;
            sum[m][2 * half + 1] *= shrink;
        }
    }
}

// The accumulators of an m-tile times scale to columns [col0, col0 + M*8) of a head:
// row(e / 2) is where row e / 2 goes, NULL for nowhere.
template <int M, class Output, class Row>
__device__ inline void store_rows(const float (&sum)[M][4], int col0, int dim, bool add, Row&& row) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float scale = 1.0f;
        Output* to = row(half, &scale);
        if (!to) continue;
#pragma unroll
        for (int n = 0; n < M; ++n)
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                const int col = col0 + n * 8 + lane % 4 * 2 + e;
                if (col < dim) store(to + col, sum[n][2 * half + e] * scale + (add ? widen(to[col]) : 0.0f));
            }
    }
}

}  // namespace graft::cuda

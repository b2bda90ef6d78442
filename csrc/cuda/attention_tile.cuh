// Tiles of bf16 rows in shared memory and their fragments, for attention on
// tensor cores. Rows are D + 8 elements apart: an odd number of 16-byte chunks, so
// the eight rows that ldmatrix reads at once lie in different banks.
#pragma once

#include "attention.cuh"
#include "instr.cuh"

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

// Starts the copy of 8 elements of a row, of which `left` exist; the others become zero.
__device__ inline void copy_chunk(bf16* to, const bf16* from, int left, bool aligned) {
    if (aligned) {
        cp_async_16(to, from, left > 0 ? 16 : 0);
    } else {
        for (int e = 0; e < 8; ++e) to[e] = e < left ? from[e] : __ushort_as_bfloat16(0);
    }
}

// Starts the copy of rows [first, first + count) of a head; what lies beyond them,
// or beyond dim, becomes zero. The whole block calls it.
template <int D> __device__ inline void load_tile(bf16* to, const Rows& from, int first, int count, int size, int head, int dim) {
    for (int i = threadIdx.x; i < size * (D / 8); i += kAttentionBlock) {
        const int row = i / (D / 8), col = i % (D / 8) * 8, left = row < count ? dim - col : 0;
        const bf16* source = left > 0 ? from.of.row(first + row) + int64_t(head) * dim + col : from.of.data;
        copy_chunk(to + row * (D + 8) + col, source, left, from.aligned);
    }
}

// Fragment A of rows [row, row + 16) and columns [16 step, + 16).
template <int D> __device__ inline void load_a(uint32_t (&f)[4], const bf16* tile, int row, int step) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4(f, tile + (row + lane % 16) * (D + 8) + step * 16 + lane / 16 * 8);
}
// Fragments B of two neighbouring n-tiles whose columns are the rows [row, + 16) of
// the tile: f[0], f[1] of the first, f[2], f[3] of the second.
template <int D> __device__ inline void load_b(uint32_t (&f)[4], const bf16* tile, int row, int step) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4(f, tile + (row + lane / 16 * 8 + lane % 8) * (D + 8) + step * 16 + lane / 8 % 2 * 8);
}
// The same where the contraction runs along the rows [row, + 16) of the tile and
// the columns of B are its columns [col, + 16).
template <int D> __device__ inline void load_b_trans(uint32_t (&f)[4], const bf16* tile, int row, int col) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4_trans(f, tile + (row + lane / 8 % 2 * 8 + lane % 8) * (D + 8) + col + lane / 16 * 8);
}

// The accumulators of two neighbouring n-tiles as fragment A of the next product.
__device__ inline void pack_a(uint32_t (&f)[4], const float (&left)[4], const float (&right)[4]) {
    f[0] = pack_bf16x2(left[0], left[1]);
    f[1] = pack_bf16x2(left[2], left[3]);
    f[2] = pack_bf16x2(right[0], right[1]);
    f[3] = pack_bf16x2(right[2], right[3]);
}

// product[n] += rows [row, + 16) of a times the N*8 rows of b, both D wide.
template <int D, int N> __device__ inline void multiply_rows(float (&product)[N][4], const bf16* a, int row, const bf16* b) {
#pragma unroll
    for (int step = 0; step < D / 16; ++step) {
        uint32_t fa[4];
        load_a<D>(fa, a, row, step);
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            uint32_t fb[4];
            load_b<D>(fb, b, n * 8, step);
            mma_m16n8k16_bf16_f32(product[n], fa, fb[0], fb[1]);
            mma_m16n8k16_bf16_f32(product[n + 1], fa, fb[2], fb[3]);
        }
    }
}

// sum[n] += weights (rows of N*8) times columns [col, + M*8) of the N*8 rows of b.
template <int D, int N, int M>
__device__ inline void add_weighted(float (&sum)[M][4], const float (&weights)[N][4], const bf16* b, int col) {
#pragma unroll
    for (int k = 0; k < N; k += 2) {
        uint32_t fa[4];
        pack_a(fa, weights[k], weights[k + 1]);
#pragma unroll
        for (int n = 0; n < M; n += 2) {
            uint32_t fb[4];
            load_b_trans<D>(fb, b, k * 8, col + n * 8);
            mma_m16n8k16_bf16_f32(sum[n], fa, fb[0], fb[1]);
            mma_m16n8k16_bf16_f32(sum[n + 1], fa, fb[2], fb[3]);
        }
    }
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

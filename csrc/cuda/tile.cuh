// Tiles of bf16 rows in shared memory and their mma fragments. Rows are D + 8
// elements apart: an odd number of 16-byte chunks, so the eight rows that ldmatrix
// reads at once lie in different banks.
#pragma once

#include "instr.cuh"

namespace graft::cuda {

// Starts the copy of 8 elements of a row, of which `left` exist; the others become zero.
__device__ inline void copy_chunk(bf16* to, const bf16* from, int left, bool aligned) {
    if (aligned) {
        cp_async_16(to, from, left <= 0 ? 0 : left < 8 ? 2 * left : 16);
    } else {
        for (int e = 0; e < 8; ++e) to[e] = e < left ? from[e] : __ushort_as_bfloat16(0);
    }
}

// Fragment A of rows [row, row + 16) and columns [16 step, + 16).
template <int D> __device__ inline void load_a(uint32_t (&f)[4], const bf16* tile, int row, int step) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4(f, tile + (row + lane % 16) * (D + 8) + step * 16 + lane / 16 * 8);
}
// The same of the transposed tile: rows [col, + 16) are its columns, columns its rows [row, + 16).
template <int D> __device__ inline void load_a_trans(uint32_t (&f)[4], const bf16* tile, int row, int col) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4_trans(f, tile + (row + lane / 16 * 8 + lane % 8) * (D + 8) + col + lane / 8 % 2 * 8);
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

}  // namespace graft::cuda

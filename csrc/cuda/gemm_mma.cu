// bf16 products on tensor cores with float32 accumulation, sm_80 and later.
//
// Block tile 128x128x32, 8 warps of 64x32 with mma.m16n8k16, three cp.async
// stages, xor-swizzled shared memory. Operands whose rows run along the
// contraction are read by ldmatrix, the others by its transposing form, so one
// kernel serves the forward pass and both gradients. The low-rank tail is more
// K tiles of the same main loop, read from A2 and B2 (LoRAFusion, arXiv
// 2510.00206, seeds the accumulator; here it ends the sum).
#include "gemm.cuh"
#include "instr.cuh"

namespace graft::cuda {
namespace mma {

constexpr int kTileM = 128, kTileN = 128, kTileK = 32;
constexpr int kStages = 3;
constexpr int kWarpM = 64, kWarpN = 32;
constexpr int kChunk = 8;  // bf16 elements of 16 bytes
constexpr int kStageElements = (kTileM + kTileN) * kTileK;
constexpr size_t kSharedBytes = sizeof(bf16) * kStages * kStageElements;

// Element offset of a chunk of a tile. Along: 128 rows of 32, two of which share
// a 128-byte bank line. Otherwise: 32 rows of 128.
template <bool Along> __device__ constexpr int swizzle(int row, int chunk) {
    return Along ? row * kTileK + (chunk ^ (row / 2 % 4)) * kChunk : row * kTileM + (chunk ^ (row % 8)) * kChunk;
}

struct Source {
    const bf16* data;
    int64_t pitch, rows, cols;  // as they lie in memory
    bool aligned;               // every chunk of 8 at a multiple of 16 bytes
};

// By fields: choosing between addresses would put both into local memory.
__device__ inline Source select(bool which, const Source& a, const Source& b) {
    return {which ? a.data : b.data, which ? a.pitch : b.pitch, which ? a.rows : b.rows, which ? a.cols : b.cols,
            which ? a.aligned : b.aligned};
}

// Starts the copy of a tile at (row0, col0); what lies outside becomes zero.
template <bool Along> __device__ inline void load_tile(bf16* tile, const Source& s, int64_t row0, int64_t col0) {
    constexpr int kChunks = (Along ? kTileK : kTileM) / kChunk;
    for (int i = threadIdx.x; i < kTileM * kTileK / kChunk; i += kThreads) {
        const int64_t row = row0 + i / kChunks, col = col0 + i % kChunks * kChunk;
        int64_t inside = row < s.rows ? s.cols - col : 0;
        inside = inside < 0 ? 0 : inside > kChunk ? kChunk : inside;
        const bf16* from = inside > 0 ? s.data + row * s.pitch + col : s.data;
        bf16* to = tile + swizzle<Along>(i / kChunks, i % kChunks);
        if (s.aligned) {
            cp_async_16(to, from, int(inside) * 2);
        } else {
            for (int e = 0; e < kChunk; ++e) to[e] = e < inside ? from[e] : __ushort_as_bfloat16(0);
        }
    }
}

template <bool AlongA, bool AlongB, class Output>
__global__ void __launch_bounds__(kThreads)
multiply(Source a, Source b, Source a2, Source b2, int64_t k, int64_t rank, Epilogue out, int64_t tiles_per_split) {
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* stages = reinterpret_cast<bf16*>(shared);
    const TileIndex at = tile_of(blockIdx.x, (out.m + kTileM - 1) / kTileM, (out.n + kTileN - 1) / kTileN);
    const int64_t row0 = at.row * kTileM, col0 = at.col * kTileN;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int warp_row = warp / (kTileN / kWarpN) * kWarpM, warp_col = warp % (kTileN / kWarpN) * kWarpN;
    const int main_tiles = int((k + kTileK - 1) / kTileK);
    const int first_tile = int(blockIdx.z * tiles_per_split);
    int last_tile = first_tile + int(tiles_per_split);
    if (last_tile > main_tiles) last_tile = main_tiles;
    if (gridDim.z == 1) last_tile = main_tiles + int((rank + kTileK - 1) / kTileK);
    const int tiles = last_tile - first_tile;

    auto load_stage = [&](int tile) {
        if (tile < tiles) {
            bf16* stage = stages + tile % kStages * kStageElements;
            const bool tail = first_tile + tile >= main_tiles;
            const int64_t l = int64_t(tail ? first_tile + tile - main_tiles : first_tile + tile) * kTileK;
            load_tile<AlongA>(stage, select(tail, a2, a), AlongA ? row0 : l, AlongA ? l : row0);
            load_tile<AlongB>(stage + kTileM * kTileK, select(tail, b2, b), AlongB ? col0 : l, AlongB ? l : col0);
        }
        cp_async_commit();  // also when empty, so that group counts stay equal
    };

    float sum[kWarpM / 16][kWarpN / 8][4] = {};
    for (int tile = 0; tile < kStages - 1; ++tile) load_stage(tile);

    for (int tile = 0; tile < tiles; ++tile) {
        cp_async_wait<kStages - 2>();
        __syncthreads();  // tile has landed for all threads; the slot of tile - 1 is free again
        load_stage(tile + kStages - 1);

        const bf16* a_tile = stages + tile % kStages * kStageElements;
        const bf16* b_tile = a_tile + kTileM * kTileK;
#pragma unroll
        for (int step = 0; step < kTileK / 16; ++step) {
            uint32_t fa[kWarpM / 16][4], fb[kWarpN / 16][4];
#pragma unroll
            for (int i = 0; i < kWarpM / 16; ++i) {
                if (AlongA) {
                    const int row = warp_row + i * 16 + lane % 16, chunk = step * 2 + lane / 16;
                    ldmatrix_x4(fa[i], a_tile + swizzle<true>(row, chunk));
                } else {
                    const int row = step * 16 + lane / 16 * 8 + lane % 8;
                    ldmatrix_x4_trans(fa[i], a_tile + swizzle<false>(row, (warp_row + i * 16) / 8 + lane / 8 % 2));
                }
            }
#pragma unroll
            for (int j = 0; j < kWarpN / 16; ++j) {
                if (AlongB) {
                    const int row = warp_col + j * 16 + lane / 16 * 8 + lane % 8, chunk = step * 2 + lane / 8 % 2;
                    ldmatrix_x4(fb[j], b_tile + swizzle<true>(row, chunk));
                } else {
                    const int row = step * 16 + lane / 8 % 2 * 8 + lane % 8;
                    ldmatrix_x4_trans(fb[j], b_tile + swizzle<false>(row, (warp_col + j * 16) / 8 + lane / 16));
                }
            }
#pragma unroll
            for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
                for (int j = 0; j < kWarpN / 8; ++j)
                    mma_m16n8k16_bf16_f32(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
        }
    }

    Epilogue to = out;
    to.c = static_cast<Output*>(out.c) + (gridDim.z > 1 ? int64_t(blockIdx.z) * out.m * out.n : 0);
#pragma unroll
    for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
#pragma unroll
            for (int e = 0; e < 4; e += 2)
                finish_pair<Output>(to, row0 + warp_row + i * 16 + lane / 4 + e / 2 * 8, col0 + warp_col + j * 8 + lane % 4 * 2,
                                    sum[i][j][e], sum[i][j][e + 1]);
}

Source source(const Operand& o, int64_t rows, int64_t cols) {
    const bool aligned = o.pitch % kChunk == 0 && reinterpret_cast<uintptr_t>(o.data) % 16 == 0;
    return {static_cast<const bf16*>(o.data), o.pitch, rows, cols, aligned};
}

template <bool AlongA, bool AlongB, class Output>
graft_status* launch(graft_context* c, const Gemm& g, float* parts, int splits) {
    auto a_source = [&](const Operand& o, int64_t depth) { return source(o, AlongA ? g.m : depth, AlongA ? depth : g.m); };
    auto b_source = [&](const Operand& o, int64_t depth) { return source(o, AlongB ? g.n : depth, AlongB ? depth : g.n); };
    const auto kernel = multiply<AlongA, AlongB, Output>;
    GRAFT_TRY(check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(kSharedBytes)), "gemm"));
    const dim3 grid(unsigned(ceil_div(g.n, kTileN) * ceil_div(g.m, kTileM)), 1, unsigned(splits));
    GRAFT_LAUNCH(kernel, grid, dim3(kThreads), kSharedBytes, c->stream, a_source(g.a, g.k), b_source(g.b, g.k),
                 a_source(g.a2, g.rank), b_source(g.b2, g.rank), g.k, g.rank, epilogue(g, parts),
                 ceil_div(ceil_div(g.k, kTileK), splits));
    return launched();
}

}  // namespace mma

graft_status* gemm_mma(graft_context* c, const Gemm& g, float* parts, int splits) {
    const bool narrow = !parts && g.c_type == GRAFT_BF16;
    switch (g.layout) {
        case Layout::NT:
            return narrow ? mma::launch<true, true, bf16>(c, g, parts, splits) : mma::launch<true, true, float>(c, g, parts, splits);
        case Layout::NN:
            return narrow ? mma::launch<true, false, bf16>(c, g, parts, splits) : mma::launch<true, false, float>(c, g, parts, splits);
        case Layout::TN:
            if (narrow) return error(GRAFT_UNIMPLEMENTED, "a product of this layout has float32 sums");
            return mma::launch<false, false, float>(c, g, parts, splits);
    }
    return error(GRAFT_INTERNAL, "no such layout");
}

}  // namespace graft::cuda

// The low-rank side of adapters on tensor cores: S = s·xAᵀ in one read of x, and
// dS = s·dyB with dB = dyᵀS in one read of dy (LoRAFusion, arXiv 2510.00206, does
// the same with atomics; here parts are added in a fixed order). Adapters of a call
// are stacked, so x and dy are read once for all of them.
#include "lora.cuh"

#include "tile.cuh"

namespace graft::cuda {
namespace {

constexpr int kBlock = 128, kWarps = 4;
constexpr int kStages = 4, kStep = 64, kPitch = kStep + 8;

bool aligned(const Operand& o) { return o.pitch % 8 == 0 && reinterpret_cast<uintptr_t>(o.data) % 16 == 0; }

// ---- S ------------------------------------------------------------------------

template <int R> constexpr size_t kDownBytes = sizeof(bf16) * kStages * (64 + R) * kPitch;

// parts [split, T, rank] of x A^T: 64 rows of x a block, and a range of steps along `in`.
template <int R>
__global__ void __launch_bounds__(kBlock)
down(LoraDown p, int rank, bool x_aligned, bool a_aligned, int steps_of_split, float* parts) {
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* stages = reinterpret_cast<bf16*>(shared);
    const int64_t row0 = int64_t(blockIdx.x) * 64;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, all_steps = int((p.in + kStep - 1) / kStep);
    const int first = blockIdx.y * steps_of_split;
    const int steps = (first + steps_of_split < all_steps ? first + steps_of_split : all_steps) - first;
    const bf16 *x = static_cast<const bf16*>(p.x.data), *a = static_cast<const bf16*>(p.a.data);
    auto load = [&](int step) {
        if (step < steps) {
            bf16* x_tile = stages + step % kStages * (64 + R) * kPitch;
            const int k0 = (first + step) * kStep;
            for (int i = threadIdx.x; i < (64 + R) * (kStep / 8); i += kBlock) {
                const int row = i / (kStep / 8), col = i % (kStep / 8) * 8;
                const bool of_x = row < 64, inside = of_x ? row0 + row < p.tokens : row - 64 < rank;
                const int left = inside ? int(p.in) - k0 - col : 0;
                const bf16* from = of_x ? x + (row0 + row) * p.x.pitch : a + (row - 64) * p.a.pitch;
                copy_chunk(x_tile + row * kPitch + col, left > 0 ? from + k0 + col : of_x ? x : a, left < 8 ? left : 8,
                           of_x ? x_aligned : a_aligned);
            }
        }
        cp_async_commit();  // also when empty, so that group counts stay equal
    };
    float sum[R / 8][4] = {};
    for (int step = 0; step < kStages - 1; ++step) load(step);
    for (int step = 0; step < steps; ++step) {
        cp_async_wait<kStages - 2>();
        __syncthreads();  // the step has landed for all threads; the slot of step - 1 is free again
        load(step + kStages - 1);
        const bf16* x_tile = stages + step % kStages * (64 + R) * kPitch;
        multiply_rows<kStep>(sum, x_tile, warp * 16, x_tile + 64 * kPitch);
    }
#pragma unroll
    for (int n = 0; n < R / 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int64_t row = row0 + warp * 16 + lane / 4 + e / 2 * 8;
            const int col = n * 8 + lane % 4 * 2 + e % 2;
            if (row < p.tokens && col < rank) parts[(int64_t(blockIdx.y) * p.tokens + row) * rank + col] = sum[n][e];
        }
}

// s = gate * scale * sum of the parts, and each adapter's columns to its xa.
struct FinishDown {
    Stack stack;
    const float* parts;
    int splits;
    int64_t tokens;
    bf16* s;
    __device__ void operator()(int64_t row, int64_t col) const {
        float sum = 0.0f;
        for (int split = 0; split < splits; ++split) sum += parts[(int64_t(split) * tokens + row) * stack.rank + col];
        for (int i = 0; i < stack.count; ++i) {
            const Slice& slice = stack.at[i];
            if (col < slice.first || col >= slice.first + slice.rank) continue;
            sum *= slice.gate ? slice.scale * slice.gate[row] : slice.scale;
            if (slice.xa) store(slice.xa + row * slice.xa_pitch + col - slice.first, sum);
        }
        store(s + row * stack.rank + col, sum);
    }
};

template <int R> graft_status* launch_down(graft_context* c, const LoraDown& p, const Stack& stack, float* parts, int splits) {
    const auto kernel = down<R>;
    GRAFT_TRY(check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(kDownBytes<R>)), "lora_down"));
    const int steps = int(ceil_div(ceil_div(p.in, kStep), splits));
    GRAFT_LAUNCH(kernel, dim3(unsigned(ceil_div(p.tokens, 64)), unsigned(splits)), dim3(kBlock), kDownBytes<R>, c->stream, p,
                 stack.rank, aligned(p.x), aligned(p.a), steps, parts);
    for_each<1>(c, FinishDown{stack, parts, splits, p.tokens, p.s}, p.tokens, stack.rank);
    return launched();
}

// ---- dS and dB ------------------------------------------------------------------

constexpr int kColTiles = 8;  // of 64 columns, a block

template <int R, int Tiles>
constexpr size_t kBackwardBytes =
    sizeof(bf16) * ((64 * Tiles + 64) * (R + 8) + kWarps * kStages * 16 * kPitch) + sizeof(float) * kWarps * 64 * R;

// A block owns 64 * Tiles rows and 8 tiles of columns of dy: parts of ds [block of
// columns, T, rank] and of db [block of rows, out, rank]. A warp reads its own 16
// rows of each tile once, through a ring of its own, and multiplies them twice.
template <int R, int Tiles>
__global__ void __launch_bounds__(kBlock)
backward(LoraBackward p, int rank, bool dy_aligned, float* ds_parts, float* db_parts) {
    constexpr int N = R / 8;
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* s_tile = reinterpret_cast<bf16*>(shared);
    bf16* b_tile = s_tile + 64 * Tiles * (R + 8);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    bf16* ring = b_tile + 64 * (R + 8) + warp * kStages * 16 * kPitch;
    float* sums = reinterpret_cast<float*>(b_tile + 64 * (R + 8) + kWarps * kStages * 16 * kPitch);
    const int64_t row0 = int64_t(blockIdx.x) * 64 * Tiles, col0 = int64_t(blockIdx.y) * 64 * kColTiles;
    const int64_t left_cols = (p.out - col0 + 63) / 64;
    const int col_tiles = left_cols < kColTiles ? int(left_cols) : kColTiles, all = col_tiles * Tiles;
    const bf16 *dy = static_cast<const bf16*>(p.dy.data), *b = static_cast<const bf16*>(p.b.data);
    auto load = [&](int q) {
        if (q < all) {
            bf16* to = ring + q % kStages * 16 * kPitch;
            const int64_t first = row0 + (q % Tiles * kWarps + warp) * 16, col = col0 + q / Tiles * 64;
            for (int i = lane; i < 16 * 8; i += 32) {
                const int64_t row = first + i / 8, left = row < p.tokens ? p.out - col - i % 8 * 8 : 0;
                copy_chunk(to + i / 8 * kPitch + i % 8 * 8, left > 0 ? dy + row * p.dy.pitch + col + i % 8 * 8 : dy,
                           left < 8 ? int(left) : 8, dy_aligned);
            }
        }
        cp_async_commit();
    };
    for (int i = threadIdx.x; i < 64 * Tiles * R; i += kBlock) {
        const int row = i / R, l = i % R;
        s_tile[row * (R + 8) + l] = row0 + row < p.tokens && l < rank ? p.s[(row0 + row) * rank + l] : __ushort_as_bfloat16(0);
    }
    for (int q = 0; q < kStages - 1; ++q) load(q);
    float ds[Tiles][N][4] = {};
    for (int tile = 0; tile < col_tiles; ++tile) {
        for (int i = threadIdx.x; i < 64 * R; i += kBlock) {
            const int64_t col = col0 + tile * 64 + i / R;
            b_tile[i / R * (R + 8) + i % R] = col < p.out && i % R < rank ? b[col * p.b.pitch + i % R] : __ushort_as_bfloat16(0);
        }
        __syncthreads();
        float db[4][N][4] = {};
#pragma unroll
        for (int i = 0; i < Tiles; ++i) {
            const int q = tile * Tiles + i;
            cp_async_wait<kStages - 2>();
            __syncwarp();  // the rows have landed for all lanes; the slot of q - 1 is free again
            load(q + kStages - 1);
            const bf16* rows = ring + q % kStages * 16 * kPitch;
#pragma unroll
            for (int step = 0; step < 4; ++step) {
                uint32_t fa[4];
                load_a<kStep>(fa, rows, 0, step);
#pragma unroll
                for (int n = 0; n < N; n += 2) {
                    uint32_t fb[4];
                    load_b_trans<R>(fb, b_tile, step * 16, n * 8);
                    mma_m16n8k16_bf16_f32(ds[i][n], fa, fb[0], fb[1]);
                    mma_m16n8k16_bf16_f32(ds[i][n + 1], fa, fb[2], fb[3]);
                }
            }
#pragma unroll
            for (int n = 0; n < N; n += 2) {
                uint32_t fb[4];
                load_b_trans<R>(fb, s_tile, (i * kWarps + warp) * 16, n * 8);
#pragma unroll
                for (int m = 0; m < 4; ++m) {
                    uint32_t fa[4];
                    load_a_trans<kStep>(fa, rows, 0, m * 16);
                    mma_m16n8k16_bf16_f32(db[m][n], fa, fb[0], fb[1]);
                    mma_m16n8k16_bf16_f32(db[m][n + 1], fa, fb[2], fb[3]);
                }
            }
        }
#pragma unroll
        for (int m = 0; m < 4; ++m)
#pragma unroll
            for (int n = 0; n < N; ++n)
#pragma unroll
                for (int e = 0; e < 4; ++e)
                    sums[(warp * 64 + m * 16 + lane / 4 + e / 2 * 8) * R + n * 8 + lane % 4 * 2 + e % 2] = db[m][n][e];
        __syncthreads();
        for (int i = threadIdx.x; i < 64 * rank; i += kBlock) {
            const int64_t col = col0 + tile * 64 + i / rank;
            float sum = 0.0f;
            for (int w = 0; w < kWarps; ++w) sum += sums[(w * 64 + i / rank) * R + i % rank];
            if (col < p.out) db_parts[(int64_t(blockIdx.x) * p.out + col) * rank + i % rank] = sum;
        }
    }
#pragma unroll
    for (int i = 0; i < Tiles; ++i)
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                const int64_t row = row0 + (i * kWarps + warp) * 16 + lane / 4 + e / 2 * 8;
                const int l = n * 8 + lane % 4 * 2 + e % 2;
                if (row < p.tokens && l < rank) ds_parts[(int64_t(blockIdx.y) * p.tokens + row) * rank + l] = ds[i][n][e];
            }
}

// db of each adapter += the sum of its parts.
struct FinishB {
    Stack stack;
    const float* parts;
    int count;
    int64_t out;
    __device__ void operator()(int64_t row, int64_t col) const {
        float sum = 0.0f;
        for (int i = 0; i < count; ++i) sum += parts[(int64_t(i) * out + row) * stack.rank + col];
        for (int i = 0; i < stack.count; ++i) {
            const Slice& slice = stack.at[i];
            if (slice.db && col >= slice.first && col < slice.first + slice.rank) slice.db[row * slice.db_pitch + col - slice.first] += sum;
        }
    }
};

template <int R, int Tiles>
graft_status* launch_backward(graft_context* c, const LoraBackward& p, const Stack& stack, float* ds, float* db, int64_t row_blocks, int64_t col_blocks) {
    const auto kernel = backward<R, Tiles>;
    GRAFT_TRY(check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(kBackwardBytes<R, Tiles>)), "lora_backward"));
    GRAFT_LAUNCH(kernel, dim3(unsigned(row_blocks), unsigned(col_blocks)), dim3(kBlock), (kBackwardBytes<R, Tiles>), c->stream, p,
                 stack.rank, aligned(p.dy), ds, db);
    Stack only_scales = stack;
    for (Slice& slice : only_scales.at) slice.xa = nullptr;
    for_each<1>(c, FinishDown{only_scales, ds, int(col_blocks), p.tokens, p.ds}, p.tokens, stack.rank);
    for_each<1>(c, FinishB{stack, db, int(row_blocks), p.out}, p.out, stack.rank);
    return launched();
}

}  // namespace

graft_status* lora_down(graft_context* c, const LoraDown& p, const Stack& stack, Carver workspace, bool* taken) {
    *taken = false;
    if (stack.rank < 1 || stack.rank > 64 || p.in < 1) return nullptr;
    int64_t splits = ceil_div(256, ceil_div(p.tokens, 64));  // from the shapes alone, as the bits are
    if (splits > ceil_div(p.in, 4 * kStep)) splits = ceil_div(p.in, 4 * kStep);
    float* parts = workspace.take<float>(splits * p.tokens * stack.rank);
    if (!parts) return nullptr;
    *taken = true;
    if (stack.rank <= 16) return launch_down<16>(c, p, stack, parts, int(splits));
    if (stack.rank <= 32) return launch_down<32>(c, p, stack, parts, int(splits));
    return launch_down<64>(c, p, stack, parts, int(splits));
}

graft_status* lora_backward(graft_context* c, const LoraBackward& p, const Stack& stack, Carver workspace, bool* taken) {
    *taken = false;
    if (stack.rank < 1 || stack.rank > 32) return nullptr;
    const int tiles = stack.rank <= 16 ? 8 : 4;
    const int64_t row_blocks = ceil_div(p.tokens, 64 * tiles), col_blocks = ceil_div(p.out, 64 * kColTiles);
    float* ds = workspace.take<float>(col_blocks * p.tokens * stack.rank);
    float* db = workspace.take<float>(row_blocks * p.out * stack.rank);
    if (!ds || !db || col_blocks > 65535) return nullptr;
    *taken = true;
    return stack.rank <= 16 ? launch_backward<16, 8>(c, p, stack, ds, db, row_blocks, col_blocks)
                            : launch_backward<32, 4>(c, p, stack, ds, db, row_blocks, col_blocks);
}

}  // namespace graft::cuda

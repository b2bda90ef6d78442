// bf16 products for Hopper (sm_90a) with wgmma and TMA: C = A B^T + A2 B2^T, or with
// Across C = A B + A2 B2, whose tiles of B are boxes of 64 columns beside each other.
//
// Warp-specialised: warpgroup 0 keeps a ring of TMA loads in flight, warpgroups
// 1 and 2 multiply, 64 rows each of a block tile of 128x256, or 128x128 where that
// leaves fewer multiprocessors without work. full[slot] completes
// when the slot's bytes have landed, empty[slot] when all consumer warps have
// finished reading it.
#include "gemm.cuh"
#include "instr_sm90.cuh"

#include <utility>

namespace graft::cuda {
namespace wgmma {

constexpr int kTileM = 128, kTileK = 64;  // 64 bf16: one 128-byte swizzle row
constexpr int kBox = 64;  // columns
constexpr int kStages = 4;
constexpr int kConsumers = 2;  // warpgroups
constexpr int kBlockThreads = 128 * (1 + kConsumers);
constexpr int kTileElementsA = kTileM * kTileK;
template <int TileN> constexpr int kStageBytes = static_cast<int>(sizeof(bf16)) * (kTileElementsA + TileN * kTileK);
template <int TileN> constexpr size_t kSharedBytes = size_t{kStages} * kStageBytes<TileN> + 2 * kStages * sizeof(uint64_t);

template <bool Across, int TileN, typename Output>
__global__ void __launch_bounds__(kBlockThreads)
multiply(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w,
     const __grid_constant__ TensorMap s, const __grid_constant__ TensorMap b, Epilogue out,
     int k, int rank) {
#if GRAFT_HAS_WGMMA
    constexpr int kTileElementsB = TileN * kTileK;
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* a_ring = reinterpret_cast<bf16*>(shared);
    bf16* b_ring = a_ring + kStages * kTileElementsA;
    uint64_t* full = reinterpret_cast<uint64_t*>(b_ring + kStages * kTileElementsB);
    uint64_t* empty = full + kStages;

    const TileIndex at = tile_of(blockIdx.x, (out.m + kTileM - 1) / kTileM, (out.n + TileN - 1) / TileN);
    const int row0 = int(at.row) * kTileM, col0 = int(at.col) * TileN;
    const int main_tiles = (k + kTileK - 1) / kTileK;
    const int tiles = main_tiles + (rank + kTileK - 1) / kTileK;

    if (threadIdx.x == 0) {
        for (int slot = 0; slot < kStages; ++slot) {
            mbarrier_init(full + slot, 1);
            mbarrier_init(empty + slot, kConsumers * 4);  // one arrival per consumer warp
        }
        mbarrier_init_fence();
    }
    __syncthreads();

    const int warpgroup = threadIdx.x / 128;
    if (warpgroup == 0) {
        set_registers_down<40>();
        if (threadIdx.x == 0) {
            for (int tile = 0; tile < tiles; ++tile) {
                const int slot = tile % kStages, round = tile / kStages;
                mbarrier_wait(empty + slot, (round & 1) ^ 1);  // passes at once in the first round
                mbarrier_arrive_expect_tx(full + slot, kStageBytes<TileN>);
                const bool tail = tile >= main_tiles;
                const int first = (tail ? tile - main_tiles : tile) * kTileK;
                tma_load_2d(a_ring + slot * kTileElementsA, tail ? &s : &x, full + slot, row0, first);
                bf16* b_tile = b_ring + slot * kTileElementsB;
                if (!Across) tma_load_2d(b_tile, tail ? &b : &w, full + slot, col0, first);
                for (int box = 0; Across && box < TileN / kBox; ++box)
                    tma_load_2d(b_tile + box * kBox * kTileK, tail ? &b : &w, full + slot, first, col0 + box * kBox);
            }
        }
        return;
    }

    set_registers_up<232>();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    const int warpgroup_row = (warpgroup - 1) * 64;
    float sum[TileN / 2] = {};
    for (int tile = 0; tile < tiles; ++tile) {
        const int slot = tile % kStages, round = tile / kStages;
        mbarrier_wait(full + slot, round & 1);
        const uint64_t a = wgmma_descriptor(a_ring + slot * kTileElementsA + warpgroup_row * kTileK);
        const bf16* b_tile = b_ring + slot * kTileElementsB;
        const uint64_t bt = Across ? wgmma_descriptor_across(b_tile, sizeof(bf16) * kBox * kTileK) : wgmma_descriptor(b_tile);
        wgmma_fence();
#pragma unroll
        for (int step = 0; step < kTileK / 16; ++step)
            wgmma_m64k16<Across>(sum, a + step * 2, bt + step * (Across ? 128 : 2));  // 16 elements or rows on, in units of 16 bytes
        wgmma_commit();
        wgmma_wait<1>();  // the previous tile is done; this one stays in flight
        if (tile > 0 && lane == 0) mbarrier_arrive(empty + (tile - 1) % kStages);
    }
    wgmma_wait<0>();

#pragma unroll
    for (int i = 0; i < TileN / 2; i += 2)
        finish_pair<Output>(out, row0 + warpgroup_row + warp * 16 + lane / 4 + i % 4 / 2 * 8, col0 + i / 4 * 8 + lane % 4 * 2,
                            sum[i], sum[i + 1]);
#endif
}

template <bool Across, int TileN, typename Output> graft_status* launch(graft_context* c, const Gemm& g) {
    TensorMap maps[4] = {};
    auto map = [&](int i, const Operand& o, int64_t rows, int64_t cols, int box) {
        const bool across = Across && i % 2;
        if (across) std::swap(rows, cols), box = kTileK;
        return check(make_tensor_map(&maps[i], static_cast<const bf16*>(o.data), int(rows), int(cols), o.pitch, box, across ? kBox : kTileK),
                     "tensor map");
    };
    GRAFT_TRY(map(0, g.a, g.m, g.k, kTileM));
    GRAFT_TRY(map(1, g.b, g.n, g.k, TileN));
    if (g.rank > 0) {
        GRAFT_TRY(map(2, g.a2, g.m, g.rank, kTileM));
        GRAFT_TRY(map(3, g.b2, g.n, g.rank, TileN));
    }
    const auto kernel = multiply<Across, TileN, Output>;
    GRAFT_TRY(check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(kSharedBytes<TileN>)), "gemm"));
    const dim3 grid(unsigned(ceil_div(g.n, TileN) * ceil_div(g.m, kTileM)));
    GRAFT_LAUNCH(kernel, grid, dim3(kBlockThreads), kSharedBytes<TileN>, c->stream, maps[0], maps[1], maps[2], maps[3],
                 epilogue(g, nullptr), int(g.k), int(g.rank));
    return launched();
}

template <int TileN, typename Output> graft_status* launch(graft_context* c, const Gemm& g) {
    return g.layout == Layout::NN ? launch<true, TileN, Output>(c, g) : launch<false, TileN, Output>(c, g);
}

// What TMA asks of an operand: rows that start at multiples of 16 bytes.
bool loads(const Operand& o) { return o.pitch % 8 == 0 && reinterpret_cast<uintptr_t>(o.data) % 16 == 0; }

}  // namespace wgmma

bool gemm_wgmma_takes(const graft_context* c, const Gemm& g) {
    return c->arch == 90 && g.layout != Layout::TN && g.type == GRAFT_BF16 && g.k > 0 && wgmma::loads(g.a) &&
           wgmma::loads(g.b) && (g.rank == 0 || (wgmma::loads(g.a2) && wgmma::loads(g.b2))) && g.m <= INT_MAX &&
           g.n <= INT_MAX;
}

graft_status* gemm_wgmma(graft_context* c, const Gemm& g) {
    // The narrow tile where the wide one would leave half of a card idle; its bits are the same.
    const bool wide = ceil_div(g.m, wgmma::kTileM) * ceil_div(g.n, 256) >= c->multiprocessors;
    if (g.c_type == GRAFT_BF16) return wide ? wgmma::launch<256, bf16>(c, g) : wgmma::launch<128, bf16>(c, g);
    return wide ? wgmma::launch<256, float>(c, g) : wgmma::launch<128, float>(c, g);
}

}  // namespace graft::cuda

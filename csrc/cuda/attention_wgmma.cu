// The forward pass of attention for Hopper (sm_90a) with wgmma and TMA, heads of 128,
// after FlashAttention-3 (Shah et al., arXiv 2407.08608), where GRAFT_CUDA_ATTENTION asks
// for it: no card has measured it.
//
// Warp-specialised: warpgroup 0 keeps a ring of tiles of K and V in flight, warpgroups 1
// and 2 own 64 query rows each, so that one's softmax runs beside the other's products.
// The scores stay in registers: the accumulators of q·k are the operand A of weights·v.
#include "attention_tile.cuh"
#include "instr_sm90.cuh"

namespace graft::cuda {
namespace {

constexpr int kDim = 128, kBox = 64;            // a head is two boxes of 64 columns
constexpr int kGroups = 2;                      // of consumers
constexpr int kQueries = 64 * kGroups, kKeys = 128;
constexpr int kBlockThreads = 128 * (1 + kGroups);
constexpr int kStages = 4;                      // K, V, K, V
constexpr int kTile = kKeys * kDim, kTileBytes = kTile * int(sizeof(bf16));
constexpr size_t kBytes = size_t(kQueries) * kDim * sizeof(bf16) + kStages * kTileBytes + (2 * kStages + 1) * sizeof(uint64_t);

struct Maps {
    TensorMap q, k, v;
};

__global__ void __launch_bounds__(kBlockThreads)
forward_hopper(const __grid_constant__ Maps maps, Attention<bf16> p, Matrix<bf16> o, float* lse) {
#if GRAFT_HAS_WGMMA
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* ring = q_tile + kQueries * kDim;
    uint64_t* full = reinterpret_cast<uint64_t*>(ring + kStages * kTile);
    uint64_t* empty = full + kStages;
    uint64_t* q_full = empty + kStages;
    const int head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads), total = int(p.q.rows);
    // The last rows of a causal sequence see the most keys: they go first.
    const int row0 = int(gridDim.x - 1 - blockIdx.x) * kQueries, end = row0 + kQueries < total ? row0 + kQueries : total;
    if (threadIdx.x == 0) {
        for (int slot = 0; slot < kStages; ++slot) {
            mbarrier_init(full + slot, 1);
            mbarrier_init(empty + slot, kGroups * 4);  // one arrival for each warp that reads
        }
        mbarrier_init(q_full, 1);
        mbarrier_init_fence();
    }
    __syncthreads();
    KeyWalk<bf16, kKeys> walk(p, row0, end);
    KeyTile tile;
    const int group = threadIdx.x / 128 - 1;
    if (group < 0) {
        auto load_head = [](bf16* to, const TensorMap* map, uint64_t* full, int row, int head, int rows) {
            for (int box = 0; box < 2; ++box) tma_load_2d(to + box * rows * kBox, map, full, row, head * kDim + box * kBox);
        };
        set_registers_down<40>();
        if (threadIdx.x != 0) return;
        mbarrier_arrive_expect_tx(q_full, kQueries * kDim * int(sizeof(bf16)));
        load_head(q_tile, &maps.q, q_full, row0, head, kQueries);
        int i = 0;
        auto send = [&](const TensorMap* map, int row) {
            const int slot = i % kStages;
            mbarrier_wait(empty + slot, (i / kStages & 1) ^ 1);  // passes at once in the first round
            mbarrier_arrive_expect_tx(full + slot, kTileBytes);
            load_head(ring + slot * kTile, map, full + slot, row, kv_head, kKeys);
            ++i;
        };
        while (walk.next(&tile)) {
            send(&maps.k, tile.row);
            send(&maps.v, tile.row);
        }
        return;
    }

    set_registers_up<232>();
    const int lane = threadIdx.x % 32, first = row0 + group * 64, last = first + 63, row = first + threadIdx.x % 128 / 32 * 16 + lane / 4;
    float sum[16][4] = {}, top[2] = {-INFINITY, -INFINITY}, mass[2] = {};
    mbarrier_wait(q_full, 0);
    for (int i = 0; walk.next(&tile); i += 2) {
        const int slot = i % kStages;
        const bf16 *k_tile = ring + slot * kTile, *v_tile = k_tile + kTile;
        const bool used = first < tile.s.last && last >= tile.s.first && (!p.causal || tile.key <= tile.s.place(last));  // the same for the group
        float z[16][4] = {};
        mbarrier_wait(full + slot, i / kStages & 1);
        if (used) {
            wgmma_fence();
#pragma unroll
            for (int step = 0; step < kDim / 16; ++step) {
                const int box = step / 4, at = step % 4 * 2;  // 16 columns on, in units of 16 bytes
                wgmma_m64k16(reinterpret_cast<float(&)[64]>(z), wgmma_descriptor(q_tile + (box * kQueries + group * 64) * kBox) + at,
                             wgmma_descriptor(k_tile + box * kKeys * kBox) + at);
            }
            wgmma_commit();
            wgmma_wait<0>();
        }
        __syncwarp();  // all lanes are past the wait, also those of a group that looks away
        if (lane == 0) mbarrier_arrive(empty + slot);
        if (used) {
            const bool whole = first >= tile.s.first && last < tile.s.last && tile.count == kKeys &&
                               sees(p, tile.s.place(first), tile.key + kKeys - 1) && sees(p, tile.s.place(last), tile.key);
#pragma unroll
            for (int n = 0; n < 16; ++n)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    float s = z[n][e] * p.scale;
                    if (p.cap > 0.0f) s = p.cap * quick_tanh(s / p.cap);
                    s *= kLog2e;
                    if (!whole) {
                        const int at = row + e / 2 * 8, key = n * 8 + lane % 4 * 2 + e % 2;
                        if (at < tile.s.first || at >= tile.s.last || key >= tile.count || !sees(p, tile.s.place(at), tile.key + key)) s = -INFINITY;
                    }
                    z[n][e] = s;
                }
            renormalise(z, sum, top, mass);
        }
        mbarrier_wait(full + slot + 1, i / kStages & 1);
        if (used) {
            uint32_t weights[8][4];
#pragma unroll
            for (int step = 0; step < 8; ++step) pack_a(weights[step], z[2 * step], z[2 * step + 1]);
            wgmma_fence();
            const uint64_t v = wgmma_descriptor_across(v_tile, sizeof(bf16) * kKeys * kBox);
#pragma unroll
            for (int step = 0; step < 8; ++step)
                wgmma_m64k16_across(reinterpret_cast<float(&)[64]>(sum), weights[step], v + step * 128);  // 16 rows on
            wgmma_commit();
            wgmma_wait<0>();
        }
        __syncwarp();
        if (lane == 0) mbarrier_arrive(empty + slot + 1);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int offset = 1; offset <= 2; offset *= 2) mass[half] += __shfl_xor_sync(kFullMask, mass[half], offset);
    store_rows<16, bf16>(sum, 0, kDim, false, [&](int half, float* scale) -> bf16* {
        const int at = row + half * 8;
        if (at >= end) return nullptr;
        *scale = mass[half] > 0.0f ? 1.0f / mass[half] : 0.0f;
        if (lane % 4 == 0) lse[int64_t(at) * p.heads + head] = (top[half] + log2f(mass[half])) * kLn2;
        return o.row(at) + int64_t(head) * kDim;
    });
#endif
}

}  // namespace

bool attention_wgmma_takes(const graft_context* c, const Attention<bf16>& p) {
    return c->arch == 90 && p.dim == kDim && p.prefix == 0 && p.k.rows > 0 && chunks(p.q, kDim) && chunks(p.k, kDim) && chunks(p.v, kDim);
}

graft_status* attention_wgmma(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a) {
    Maps maps;
    auto map = [](TensorMap* to, const Matrix<const bf16>& m, int rows) {
        return check(make_tensor_map(to, m.data, int(m.rows), int(m.cols), m.pitch, rows, kBox), "tensor map");
    };
    GRAFT_TRY(map(&maps.q, p.q, kQueries));
    GRAFT_TRY(map(&maps.k, p.k, kKeys));
    GRAFT_TRY(map(&maps.v, p.v, kKeys));
    GRAFT_TRY(allow_shared(forward_hopper, kBytes));
    GRAFT_LAUNCH(forward_hopper, dim3(unsigned(ceil_div(p.q.rows, kQueries)), unsigned(p.heads)), dim3(kBlockThreads), kBytes, c->stream,
                 maps, p, view<bf16>(a->o), data<float>(a->lse));
    return launched();
}

}  // namespace graft::cuda

// The forward pass of attention in bf16 on tensor cores (sm_80 and later), after
// FlashAttention-2 (Dao, arXiv 2307.08691). A warp owns 16 query rows (32 for
// narrow heads) of one head, its block walks over tiles of keys. The scores stay
// in registers: the accumulators of q·k are the fragment A of weights·v. While one
// of K and V is multiplied, the next of the other is on its way.
#include "attention_tile.cuh"

namespace graft::cuda {
namespace {

template <int D, int Parts, int Keys> struct Shape {
    static constexpr int kQueries = 64 * Parts;  // Parts m-tiles for each warp
    static constexpr size_t kBytes = sizeof(bf16) * (D + 8) * (kQueries + 2 * Keys);
};

template <int D, int Parts, int Keys>
__global__ void __launch_bounds__(kAttentionBlock)
forward(Attention<bf16> p, Rows q, Rows k, Rows v, Rows pk, Rows pv, Matrix<bf16> o, float* lse) {
    constexpr int kQueries = Shape<D, Parts, Keys>::kQueries, N = Keys / 8, M = D / 8;
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* k_tile = q_tile + kQueries * (D + 8);
    bf16* v_tile = k_tile + Keys * (D + 8);
    const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * 16 * Parts;
    const int head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads), total = int(p.q.rows);
    // The last rows of a causal sequence see the most keys: they go first.
    const int row0 = int(gridDim.x - 1 - blockIdx.x) * kQueries, end = row0 + kQueries < total ? row0 + kQueries : total;
    auto load = [&](bf16* to, const Rows& rows, int first, int count, int size, int of) {
        load_tile<D>(to, rows, first, count, size, of, p.dim);
    };
    auto load_key = [&](const KeyTile& t) { load(k_tile, either(t.all, pk, k), t.row, t.count, Keys, kv_head); };

    float sum[Parts][M][4] = {}, top[Parts][2], mass[Parts][2] = {};
#pragma unroll
    for (int part = 0; part < Parts; ++part) top[part][0] = top[part][1] = -INFINITY;

    KeyWalk<bf16, Keys> walk(p, row0, end);
    KeyTile tile;
    bool more = walk.next(&tile);
    load(q_tile, q, row0, end - row0, kQueries, head);
    if (more) load_key(tile);
    cp_async_commit();
    while (more) {
        cp_async_wait<0>();
        __syncthreads();  // K has landed for all threads; V of the tile before is no longer read
        load(v_tile, either(tile.all, pv, v), tile.row, tile.count, Keys, kv_head);
        cp_async_commit();

        float z[Parts][N][4] = {};
        bool used[Parts];
#pragma unroll
        for (int part = 0; part < Parts; ++part) {
            const int first = row0 + warp_row + part * 16, last = first + 15;
            used[part] = first < tile.s.last && last >= tile.s.first && (tile.all || !p.causal || tile.key <= tile.s.place(last));
            if (!used[part]) continue;  // the same for the whole warp
            multiply_rows<D>(z[part], q_tile, warp_row + part * 16, k_tile);
            const bool whole = first >= tile.s.first && last < tile.s.last && tile.count == Keys &&
                               (tile.all || (sees(p, tile.s.place(first), tile.key + Keys - 1) && sees(p, tile.s.place(last), tile.key)));
#pragma unroll
            for (int n = 0; n < N; ++n)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    float s = z[part][n][e] * p.scale;
                    if (p.cap > 0.0f) s = p.cap * quick_tanh(s / p.cap);
                    s *= kLog2e;
                    if (!whole) {
                        const int row = first + lane / 4 + e / 2 * 8, at = n * 8 + lane % 4 * 2 + e % 2;
                        if (row < tile.s.first || row >= tile.s.last || at >= tile.count ||
                            !(tile.all || sees(p, tile.s.place(row), tile.key + at)))
                            s = -INFINITY;
                    }
                    z[part][n][e] = s;
                }
            renormalise(z[part], sum[part], top[part], mass[part]);
        }
        KeyTile next;
        more = walk.next(&next);
        cp_async_wait<0>();
        __syncthreads();  // V has landed for all threads; K is no longer read
        if (more) load_key(next);
        cp_async_commit();
#pragma unroll
        for (int part = 0; part < Parts; ++part)
            if (used[part]) add_weighted<D>(sum[part], z[part], v_tile, 0);
        tile = next;
    }
#pragma unroll
    for (int part = 0; part < Parts; ++part) {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int offset = 1; offset <= 2; offset *= 2) mass[part][half] += __shfl_xor_sync(kFullMask, mass[part][half], offset);
        store_rows<M, bf16>(sum[part], 0, p.dim, false, [&](int half, float* scale) -> bf16* {
            const int row = row0 + warp_row + part * 16 + lane / 4 + half * 8;
            if (row >= end) return nullptr;
            *scale = mass[part][half] > 0.0f ? 1.0f / mass[part][half] : 0.0f;
            if (lane % 4 == 0) lse[int64_t(row) * p.heads + head] = (top[part][half] + log2f(mass[part][half])) * kLn2;
            return o.row(row) + int64_t(head) * p.dim;
        });
    }
}

template <int D, int Parts, int Keys>
graft_status* launch(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a) {
    using S = Shape<D, Parts, Keys>;
    const auto kernel = forward<D, Parts, Keys>;
    GRAFT_TRY(allow_shared(kernel, S::kBytes));
    GRAFT_LAUNCH(kernel, dim3(unsigned(ceil_div(p.q.rows, S::kQueries)), unsigned(p.heads)), dim3(kAttentionBlock), S::kBytes,
                 c->stream, p, rows_of(p.q, p.dim), rows_of(p.k, p.dim), rows_of(p.v, p.dim), rows_of(p.pk, p.dim),
                 rows_of(p.pv, p.dim), view<bf16>(a->o), data<float>(a->lse));
    return launched();
}

}  // namespace

graft_status* attention_mma(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a) {
    if (p.dim <= 64) return launch<64, 2, 64>(c, p, a);
    if (p.dim <= 96) return launch<96, 2, 32>(c, p, a);
    if (p.dim <= 128) return launch<128, 2, 32>(c, p, a);
    return launch<256, 1, 32>(c, p, a);
}

}  // namespace graft::cuda

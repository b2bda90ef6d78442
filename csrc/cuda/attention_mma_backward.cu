// The backward pass of attention in bf16 on tensor cores. One kernel owns query
// rows and gives dq, one owns key rows and gives dk and dv of all query heads of
// the group: no block adds to what another one writes, so the order is fixed.
//     p = exp(z - lse),  dp = do·v,  ds = p (dp - delta) dz/d(q·k)
//     dq = ds·k,  dk = dsᵀ·q,  dv = pᵀ·do
// The kernel of keys computes transposed scores, k·qᵀ, so that p and ds are again
// the fragment A of the next product, straight from the accumulators.
#include "attention_tile.cuh"

namespace graft::cuda {
namespace {

constexpr int kOwned = 64;  // rows of a block, 16 for each warp

struct Inputs {
    Rows q, k, v, pk, pv, d_o;
    const float *lse, *delta;
};

// What a query knows of its row of scores, and whether it sees the key.
struct Pair {
    float lse, delta;
    bool visible;
};

// The weights of 16 owned rows against the rows of a tile, and the gradients of their
// products: z = weight, dp = weight (dp - delta) dz/d(product). One side are queries and
// their gradients of o, the other keys and values; pair(half, col) is an element's.
template <int D, int N, class PairAt>
__device__ inline void differentiate(const Attention<bf16>& p, float (&z)[N][4], float (&dp)[N][4], const bf16* owned,
                                     const bf16* owned_too, int warp_row, const bf16* tile, const bf16* tile_too, PairAt&& pair) {
    multiply_rows<D>(z, owned, warp_row, tile);
    multiply_rows<D>(dp, owned_too, warp_row, tile_too);
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const Pair at = pair(e / 2, n * 8 + int(threadIdx.x) % 4 * 2 + e % 2);
            float slope;
            const float s = capped_score(p, z[n][e], &slope);
            const float weight = at.visible ? exp2f((s - at.lse) * kLog2e) : 0.0f;
            dp[n][e] = at.visible ? weight * (dp[n][e] - at.delta) * slope : 0.0f;
            z[n][e] = weight;
        }
}

template <int D, int Keys>
__global__ void __launch_bounds__(kAttentionBlock) query_gradient(Attention<bf16> p, Inputs in, Matrix<bf16> dq) {
    constexpr int N = Keys / 8, M = D / 8, kPitch = D + 8;
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* dy_tile = q_tile + kOwned * kPitch;
    bf16* k_tile = dy_tile + kOwned * kPitch;
    bf16* v_tile = k_tile + Keys * kPitch;
    const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * 16;
    const int head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads), total = int(p.q.rows);
    const int row0 = int(gridDim.x - 1 - blockIdx.x) * kOwned, end = row0 + kOwned < total ? row0 + kOwned : total;
    auto load = [&](bf16* to, const Rows& rows, int first, int count, int size, int of) {
        load_tile<D>(to, rows, first, count, size, of, p.dim);
    };
    auto load_keys = [&](const KeyTile& t) {
        load(k_tile, either(t.all, in.pk, in.k), t.row, t.count, Keys, kv_head);
        load(v_tile, either(t.all, in.pv, in.v), t.row, t.count, Keys, kv_head);
    };
    float lse[2] = {}, delta[2] = {}, sum[M][4] = {};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int row = row0 + warp_row + lane / 4 + half * 8;
        if (row < end) {
            lse[half] = in.lse[int64_t(row) * p.heads + head];
            delta[half] = in.delta[int64_t(row) * p.heads + head];
        }
    }
    KeyWalk<bf16, Keys> walk(p, row0, end);
    KeyTile tile;
    load(q_tile, in.q, row0, end - row0, kOwned, head);
    load(dy_tile, in.d_o, row0, end - row0, kOwned, head);
    for (bool more = walk.next(&tile); more;) {
        load_keys(tile);
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();  // the tiles have landed for all threads
        float z[N][4] = {}, dp[N][4] = {};
        differentiate<D>(p, z, dp, q_tile, dy_tile, warp_row, k_tile, v_tile, [&](int half, int at) -> Pair {
            const int row = row0 + warp_row + lane / 4 + half * 8;
            const bool visible = row >= tile.s.first && row < tile.s.last && at < tile.count &&
                                 (tile.all || sees(p, tile.s.place(row), tile.key + at));
            return {lse[half], delta[half], visible};
        });
        add_weighted<D>(sum, dp, k_tile, 0);
        more = walk.next(&tile);
        __syncthreads();  // the tiles may be written again
    }
    store_rows<M, bf16>(sum, 0, p.dim, false, [&](int half, float*) -> bf16* {
        const int row = row0 + warp_row + lane / 4 + half * 8;
        return row < end ? dq.row(row) + int64_t(head) * p.dim : nullptr;
    });
}

// Columns [Columns z, + Columns) of dk and dv: heads of 256 take two blocks, for
// the sums of whole rows do not fit the registers. With prefix the rows are those of
// the prefix, and their gradients are added to dpk and dpv.
template <int D, int Columns, int Queries>
__global__ void __launch_bounds__(kAttentionBlock)
key_gradient(Attention<bf16> p, Inputs in, Matrix<bf16> dk, Matrix<bf16> dv, Matrix<float> dpk, Matrix<float> dpv, bool prefix) {
    constexpr int N = Queries / 8, M = Columns / 8, kPitch = D + 8;
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* k_tile = reinterpret_cast<bf16*>(shared);
    bf16* v_tile = k_tile + kOwned * kPitch;
    bf16* q_tile = v_tile + kOwned * kPitch;
    bf16* dy_tile = q_tile + Queries * kPitch;
    float* lse = reinterpret_cast<float*>(dy_tile + Queries * kPitch);
    float* delta = lse + Queries;
    const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * 16, kv_head = blockIdx.y, col0 = blockIdx.z * Columns;
    const int row0 = blockIdx.x * kOwned, total = int(prefix ? p.pk.rows : p.k.rows), end = row0 + kOwned < total ? row0 + kOwned : total;
    auto load = [&](bf16* to, const Rows& rows, int first, int count, int size, int of) {
        load_tile<D>(to, rows, first, count, size, of, p.dim);
    };
    float sum_k[M][4] = {}, sum_v[M][4] = {};
    QueryWalk<bf16, Queries> walk(p, kv_head, row0, end, prefix);
    QueryTile tile;
    load(k_tile, either(prefix, in.pk, in.k), row0, end - row0, kOwned, kv_head);
    load(v_tile, either(prefix, in.pv, in.v), row0, end - row0, kOwned, kv_head);
    for (bool more = walk.next(&tile); more;) {
        load(q_tile, in.q, tile.row, tile.count, Queries, tile.head);
        load(dy_tile, in.d_o, tile.row, tile.count, Queries, tile.head);
        cp_async_commit();
        if (int(threadIdx.x) < tile.count) {
            const int64_t at = int64_t(tile.row + threadIdx.x) * p.heads + tile.head;
            lse[threadIdx.x] = in.lse[at];
            delta[threadIdx.x] = in.delta[at];
        }
        cp_async_wait<0>();
        __syncthreads();  // the tiles have landed for all threads
        float z[N][4] = {}, dp[N][4] = {};
        differentiate<D>(p, z, dp, k_tile, v_tile, warp_row, q_tile, dy_tile, [&](int half, int at) -> Pair {
            const int key = row0 + warp_row + lane / 4 + half * 8;
            bool visible = key < end && at < tile.count;
            if (!prefix)
                visible &= key >= tile.s.first && key < tile.s.last && sees(p, tile.row + at - tile.s.first, key - tile.s.first);
            return {visible ? lse[at] : 0.0f, visible ? delta[at] : 0.0f, visible};
        });
        add_weighted<D>(sum_v, z, dy_tile, col0);
        add_weighted<D>(sum_k, dp, q_tile, col0);
        more = walk.next(&tile);
        __syncthreads();  // the tiles may be written again
    }
    auto to = [&](const auto& m) {
        return [&, m](int half, float*) {
            const int row = row0 + warp_row + lane / 4 + half * 8;
            return row < end ? m.row(row) + int64_t(kv_head) * p.dim : nullptr;
        };
    };
    if (prefix) {
        store_rows<M, float>(sum_k, col0, p.dim, true, to(dpk));
        store_rows<M, float>(sum_v, col0, p.dim, true, to(dpv));
    } else {
        store_rows<M, bf16>(sum_k, col0, p.dim, false, to(dk));
        store_rows<M, bf16>(sum_v, col0, p.dim, false, to(dv));
    }
}

template <int D, int Columns, int Keys, int Queries>
graft_status* launch(graft_context* c, const Attention<bf16>& p, const graft_attention_backward_args* a, const float* delta) {
    const Inputs in{rows_of(p.q, p.dim), rows_of(p.k, p.dim), rows_of(p.v, p.dim), rows_of(p.pk, p.dim), rows_of(p.pv, p.dim),
                    rows_of(view<const bf16>(a->d_o), p.dim), data<float>(a->lse), delta};
    constexpr size_t kRow = sizeof(bf16) * (D + 8);
    const auto of_queries = query_gradient<D, Keys>;
    const size_t query_bytes = kRow * (2 * kOwned + 2 * Keys);
    GRAFT_TRY(allow_shared(of_queries, query_bytes));
    GRAFT_LAUNCH(of_queries, dim3(unsigned(ceil_div(p.q.rows, kOwned)), unsigned(p.heads)), dim3(kAttentionBlock), query_bytes,
                 c->stream, p, in, view<bf16>(a->dq));
    const size_t key_bytes = kRow * (2 * kOwned + 2 * Queries) + sizeof(float) * 2 * Queries;
    const auto of_keys = key_gradient<D, Columns, Queries>;
    GRAFT_TRY(allow_shared(of_keys, key_bytes));
    const bool of_prefix = given(a->dpk) && p.prefix > 0;
    for (int prefix = 0; prefix <= int(of_prefix); ++prefix) {
        const int64_t rows = prefix ? p.prefix : p.k.rows;
        GRAFT_LAUNCH(of_keys, dim3(unsigned(ceil_div(rows, kOwned)), unsigned(p.kv_heads), D / Columns), dim3(kAttentionBlock), key_bytes,
                     c->stream, p, in, view<bf16>(a->dk), view<bf16>(a->dv), view<float>(a->dpk), view<float>(a->dpv), prefix != 0);
    }
    return launched();
}

}  // namespace

graft_status* attention_mma_backward(graft_context* c, const Attention<bf16>& p, const graft_attention_backward_args* a,
                                     const float* delta) {
    if (p.dim <= 64) return launch<64, 64, 64, 64>(c, p, a, delta);
    if (p.dim <= 96) return launch<96, 96, 64, 32>(c, p, a, delta);
    if (p.dim <= 128) return launch<128, 128, 64, 32>(c, p, a, delta);
    return launch<256, 128, 32, 16>(c, p, a, delta);
}

}  // namespace graft::cuda

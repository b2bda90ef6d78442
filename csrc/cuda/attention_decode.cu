// Attention of few queries over many keys, as in generation: memory-bound, so the
// keys are split over blocks and warps (Flash-Decoding, Dao et al. 2023). The query
// heads that share a key head are the rows of one m-tile, so keys and values are
// read once for all of them. Each warp walks over its own tiles; parts are joined
// in a fixed order, first those of the warps, then those of the blocks.
#include "attention_tile.cuh"

namespace graft::cuda {
namespace {

constexpr int kWarps = kAttentionBlock / 32;
constexpr int kHeads = 16;  // rows of an m-tile

struct Cache {
    Rows k, v, pk, pv;
};

// part [row, head, split] of dim + 2 floats: sums, maximum in base 2, mass.
template <int D, int Keys>
__global__ void __launch_bounds__(kAttentionBlock) decode(Attention<bf16> p, Cache in, bool aligned, float* parts) {
    constexpr int N = Keys / 8, M = D / 8, kPitch = D + 8;
    GRAFT_DYNAMIC_SHARED(shared);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = blockIdx.x, kv_head = blockIdx.y, splits = gridDim.z;
    const int group = p.heads / p.kv_heads;
    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* k_tile = q_tile + kHeads * kPitch + warp * 2 * Keys * kPitch;
    bf16* v_tile = k_tile + Keys * kPitch;

    const Sequence s = sequence(p, first_sequence(p, row));
    const int place = s.place(row);
    const int low = p.window > 0 && place - p.window + 1 > 0 ? place - p.window + 1 : 0;
    const int high = p.causal && place + 1 < s.keys ? place + 1 : s.keys;
    const int seen = p.prefix + (high > low ? high - low : 0);
    const int tiles = (seen + Keys - 1) / Keys, tiles_of_split = (tiles + splits - 1) / splits;
    const int first_tile = blockIdx.z * tiles_of_split;
    const int last_tile = first_tile + tiles_of_split < tiles ? first_tile + tiles_of_split : tiles;

    const Rows heads{{p.q.row(row) + int64_t(kv_head) * group * p.dim, group, p.dim, p.dim}, aligned};
    load_tile<D>(q_tile, heads, 0, group, kHeads, 0, p.dim);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();

    auto load = [&](bf16* to, const Rows& prefix, const Rows& cache, int first) {
        for (int i = lane; i < Keys * (D / 8); i += 32) {
            const int key = first + i / (D / 8), col = i % (D / 8) * 8, left = key < seen ? p.dim - col : 0;
            const bool before = key < p.prefix;
            const Matrix<const bf16> of = either(before, prefix.of, cache.of);
            const bf16* source = left > 0 ? of.row(before ? key : s.start + low + key - p.prefix) + int64_t(kv_head) * p.dim + col : cache.of.data;
            copy_chunk(to + i / (D / 8) * kPitch + col, source, left, cache.aligned && (p.prefix == 0 || prefix.aligned));
        }
    };
    float sum[M][4] = {}, top[2] = {-INFINITY, -INFINITY}, mass[2] = {};
    for (int tile = first_tile + warp; tile < last_tile; tile += kWarps) {
        load(k_tile, in.pk, in.k, tile * Keys);
        load(v_tile, in.pv, in.v, tile * Keys);
        cp_async_commit();
        cp_async_wait<0>();
        __syncwarp();  // the tiles have landed for all lanes
        float z[N][4] = {};
        multiply_rows<D>(z, q_tile, 0, k_tile);
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                float slope;
                z[n][e] = tile * Keys + n * 8 + lane % 4 * 2 + e % 2 < seen ? score(p, z[n][e], &slope) * kLog2e : -INFINITY;
            }
        renormalise(z, sum, top, mass);
        add_weighted<D>(sum, z, v_tile, 0);
        __syncwarp();  // the tiles may be written again
    }
    __syncthreads();  // the sums of the warps take the place of the tiles
    float* sums = reinterpret_cast<float*>(q_tile + kHeads * kPitch);
    GRAFT_SHARED(float, tops, kWarps * kHeads);
    GRAFT_SHARED(float, masses, kWarps * kHeads);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int r = lane / 4 + half * 8;
        for (int offset = 1; offset <= 2; offset *= 2) mass[half] += __shfl_xor_sync(kFullMask, mass[half], offset);
        if (lane % 4 == 0) {
            tops[warp * kHeads + r] = top[half];
            masses[warp * kHeads + r] = mass[half];
        }
#pragma unroll
        for (int m = 0; m < M; ++m)
            for (int e = 0; e < 2; ++e) sums[(warp * kHeads + r) * D + m * 8 + lane % 4 * 2 + e] = sum[m][2 * half + e];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < group * (p.dim + 2); i += kAttentionBlock) {
        const int r = i / (p.dim + 2), d = i % (p.dim + 2);
        float most = -INFINITY, value = 0.0f;
        for (int w = 0; w < kWarps; ++w) most = fmaxf(most, tops[w * kHeads + r]);
        const float base = most == -INFINITY ? 0.0f : most;
        for (int w = 0; w < kWarps; ++w)
            value += exp2f(tops[w * kHeads + r] - base) * (d < p.dim ? sums[(w * kHeads + r) * D + d] : masses[w * kHeads + r]);
        const int64_t at = (int64_t(row) * p.heads + kv_head * group + r) * splits + blockIdx.z;
        parts[at * (p.dim + 2) + d] = d == p.dim ? most : value;  // the mass last
    }
}

__global__ void __launch_bounds__(kAttentionBlock)
join(Matrix<bf16> o, float* lse, const float* parts, int heads, int dim, int splits) {
    const int64_t at = blockIdx.x;
    const float* part = parts + at * splits * (dim + 2);
    float most = -INFINITY, mass = 0.0f;
    for (int s = 0; s < splits; ++s) most = fmaxf(most, part[s * (dim + 2) + dim]);
    const float base = most == -INFINITY ? 0.0f : most;
    for (int s = 0; s < splits; ++s) mass += exp2f(part[s * (dim + 2) + dim] - base) * part[s * (dim + 2) + dim + 1];
    for (int d = threadIdx.x; d < dim; d += kAttentionBlock) {
        float sum = 0.0f;
        for (int s = 0; s < splits; ++s) sum += exp2f(part[s * (dim + 2) + dim] - base) * part[s * (dim + 2) + d];
        store(o.row(at / heads) + at % heads * dim + d, mass > 0.0f ? sum / mass : 0.0f);
    }
    if (threadIdx.x == 0) lse[at] = (most + log2f(mass)) * kLn2;
}

template <int D, int Keys> graft_status* launch(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a) {
    // Enough blocks to fill a card, from shapes alone; parts have 128 keys at least.
    const int64_t queries = p.q.rows, one = queries * p.heads * (p.dim + 2) * int64_t(sizeof(float));
    Carver workspace(*c);
    int64_t splits = ceil_div(512, queries * p.kv_heads);
    if (splits > ceil_div(p.k.rows + p.prefix, 128)) splits = ceil_div(p.k.rows + p.prefix, 128);
    if (splits > workspace.left() / one) splits = workspace.left() / one;
    if (splits < 1) splits = 1;
    float* parts = workspace.take<float>(one / int64_t(sizeof(float)) * splits);
    GRAFT_TRY(workspace.check("workspace"));
    const size_t bytes = sizeof(bf16) * (D + 8) * (kHeads + kWarps * 2 * Keys);
    static_assert(sizeof(float) * kHeads * D <= sizeof(bf16) * (D + 8) * 2 * Keys, "the sums of a warp fit its tiles");
    const auto kernel = decode<D, Keys>;
    GRAFT_TRY(allow_shared(kernel, bytes));
    const Cache in{rows_of(p.k, p.dim), rows_of(p.v, p.dim), rows_of(p.pk, p.dim), rows_of(p.pv, p.dim)};
    GRAFT_LAUNCH(kernel, dim3(unsigned(queries), unsigned(p.kv_heads), unsigned(splits)), dim3(kAttentionBlock), bytes, c->stream,
                 p, in, chunks(p.q, p.dim), parts);
    GRAFT_LAUNCH(join, dim3(unsigned(queries * p.heads)), dim3(kAttentionBlock), 0, c->stream, view<bf16>(a->o),
                 data<float>(a->lse), parts, p.heads, p.dim, int(splits));
    return launched();
}

}  // namespace

graft_status* attention_decode(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a) {
    if (p.dim <= 64) return launch<64, 32>(c, p, a);
    if (p.dim <= 96) return launch<96, 32>(c, p, a);
    if (p.dim <= 128) return launch<128, 32>(c, p, a);
    return launch<256, 16>(c, p, a);
}

}  // namespace graft::cuda

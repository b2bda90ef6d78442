// The product of a few tokens with an NF4 weight, as in generation: bound by the
// bytes of the codes. A warp owns a few rows of the weight and all tokens; its lanes
// take packs of 8 columns in turn, and the low-rank tail goes into the same sums.
// Weights are rounded to the type of the activations, as everywhere.
#include "nf4.cuh"

namespace graft::cuda {
namespace {

constexpr int kMaxTokens = 8;
constexpr int kWarps = kThreads / 32;
constexpr int kRowsPerWarp = 4;
constexpr int kPack = 8;  // columns: 4 bytes of codes

template <class T, int Tokens>
__global__ void __launch_bounds__(kThreads, 1)
multiply(Matrix<T> y, Matrix<const T> x, Matrix<const uint8_t> w, NF4Scales scales, DynamicMap map, const void* bias, bool bias_bf16,
         Matrix<const T> s, Matrix<const T> b) {
    GRAFT_SHARED(float, code, 16);
    GRAFT_SHARED(float, absmax_map, 256);
    if (threadIdx.x < 16) code[threadIdx.x] = kNF4Code[threadIdx.x];
    absmax_map[threadIdx.x] = map.at[threadIdx.x];
    __syncthreads();
    const float offset = scales.codes ? scales.offset[0] : 0.0f;
    const int lane = threadIdx.x % 32;
    const int64_t row0 = (int64_t(blockIdx.x) * kWarps + threadIdx.x / 32) * kRowsPerWarp, in = x.cols;
    const int tokens = int(x.rows);
    float sum[kRowsPerWarp][Tokens] = {};
    for (int64_t col = lane * kPack; col < in; col += 32 * kPack) {
        Pack<T, kPack> from[Tokens];
#pragma unroll
        for (int t = 0; t < Tokens; ++t) from[t] = load_pack<kPack>(x.row(t < tokens ? t : tokens - 1) + col);
#pragma unroll
        for (int r = 0; r < kRowsPerWarp; ++r) {
            const int64_t row = row0 + r;
            if (row >= w.rows) continue;
            const float absmax = scales((row * in + col) / kNF4Block, absmax_map, offset);
            const uint32_t bytes = *reinterpret_cast<const uint32_t*>(w.row(row) + col / 2);
#pragma unroll
            for (int i = 0; i < kPack; ++i) {
                const uint32_t nibble = bytes >> (8 * (i / 2) + (i % 2 ? 0 : 4)) & 15;
                const float value = rounded(x.data, __fmul_rn(code[nibble], absmax));
#pragma unroll
                for (int t = 0; t < Tokens; ++t) sum[r][t] += widen(from[t].at[i]) * value;
            }
        }
    }
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
        const int64_t row = row0 + r;
        if (row >= w.rows) continue;  // the same for the whole warp
#pragma unroll
        for (int t = 0; t < Tokens; ++t) {
            if (t >= tokens) continue;
            for (int64_t l = lane; l < b.cols; l += 32) sum[r][t] += widen(s.row(t)[l]) * widen(b.row(row)[l]);
            const float whole = warp_sum(sum[r][t]);
            float add = 0.0f;
            if (bias) add = bias_bf16 ? widen(static_cast<const bf16*>(bias)[row]) : static_cast<const float*>(bias)[row];
            if (lane == 0) store(y.row(t) + row, whole + add);
        }
    }
}

template <class T, int Tokens> void launch(graft_context* c, const graft_weight& w, const NF4Rows& r) {
    const Matrix<const T> s{static_cast<const T*>(r.s.data), rows(r.x), r.rank, r.s.pitch};
    const Matrix<const T> b{static_cast<const T*>(r.b.data), w.out, r.rank, r.b.pitch};
    GRAFT_LAUNCH((multiply<T, Tokens>), dim3(unsigned(ceil_div(w.out, kWarps * kRowsPerWarp))), dim3(kThreads), 0, c->stream,
                 view<T>(r.y), view<const T>(r.x), view<const uint8_t>(w.data), nf4_scales(w), signed_map(), r.bias.data,
                 r.bias.dtype == GRAFT_BF16, s, b);
}

}  // namespace

bool nf4_rows_takes(const graft_weight& w, const graft_tensor& x) {
    return given(w.absmax) && rows(x) <= kMaxTokens && w.in % kNF4Block == 0 && packs(x, kPack) && w.data.pitch % 4 == 0 &&
           reinterpret_cast<uintptr_t>(w.data.data) % 4 == 0;
}

graft_status* nf4_rows(graft_context* c, const graft_weight& w, const NF4Rows& r) {
    GRAFT_BY_TYPE(r.x, T, {
        if (rows(r.x) == 1) launch<T, 1>(c, w, r);
        else if (rows(r.x) == 2) launch<T, 2>(c, w, r);
        else if (rows(r.x) <= 4) launch<T, 4>(c, w, r);
        else launch<T, kMaxTokens>(c, w, r);
    });
    return launched();
}

}  // namespace graft::cuda

// nf4_quantize (Dettmers et al., arXiv 2305.14314, appendix E), bit-equal to bitsandbytes
// and the CPU: a code is the number of midpoints below value / absmax, so that a tie takes
// the lower one. Eight lanes own a block of 64, so that a warp reads whole lines.
#include "nf4.cuh"
#include "slots.cuh"

namespace graft::cuda {
namespace {

constexpr int kPerLane = 8;  // elements, 4 bytes of codes
constexpr int kLanes = kNF4Block / kPerLane;

// A search in four comparisons. The midpoints are those of float32.
__device__ inline int nf4_code(const float* mid, float x) {
    int n = mid[7] < x ? 8 : 0;
    n += mid[n + 3] < x ? 4 : 0;
    n += mid[n + 1] < x ? 2 : 0;
    n += mid[n] < x ? 1 : 0;
    return n;
}

// Fast: rows are made of whole packs at multiples of 16 bytes.
template <class T, bool Fast>
__global__ void __launch_bounds__(kThreads)
quantize(Matrix<uint8_t> codes, float* absmax, Matrix<const T> x, int64_t blocks) {
    GRAFT_SHARED(float, mid, 15);
    if (threadIdx.x < 15) mid[threadIdx.x] = (kNF4Code[threadIdx.x] + kNF4Code[threadIdx.x + 1]) * 0.5f;
    __syncthreads();
    const int lane = threadIdx.x % kLanes;
    constexpr int kBlocks = kThreads / kLanes;  // of 64 elements, at once
    // All lanes of a warp stay in the loop, for they exchange their largest.
    for (int64_t first = int64_t(blockIdx.x) * kBlocks; first < blocks; first += int64_t(gridDim.x) * kBlocks) {
        const int64_t block = first + threadIdx.x / kLanes, e = block * kNF4Block + lane * kPerLane;
        const bool inside = block < blocks;
        Pack<T, kPerLane> v;
        if (Fast) {
            if (inside) v = load_pack<kPerLane>(x.row(e / x.cols) + e % x.cols);
        } else {
            for (int i = 0; inside && i < kPerLane; ++i) v.at[i] = x.row((e + i) / x.cols)[(e + i) % x.cols];
        }
        float largest = 0.0f;
        for (int i = 0; inside && i < kPerLane; ++i) largest = fmaxf(largest, fabsf(widen(v.at[i])));
#pragma unroll
        for (int offset = kLanes / 2; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(kFullMask, largest, offset));
        if (!inside) continue;
        if (lane == 0) absmax[block] = largest;
        const float inverse = 1.0f / fmaxf(largest, 1e-38f);
        Pack<uint8_t, kPerLane / 2> bytes;
#pragma unroll
        for (int i = 0; i < kPerLane; i += 2)
            bytes.at[i / 2] = uint8_t(nf4_code(mid, __fmul_rn(widen(v.at[i]), inverse)) << 4 | nf4_code(mid, __fmul_rn(widen(v.at[i + 1]), inverse)));
        if (Fast) {
            store_pack(codes.row(e / x.cols) + e % x.cols / 2, bytes);
        } else {
            for (int i = 0; i < kPerLane; i += 2) codes.row((e + i) / x.cols)[(e + i) % x.cols / 2] = bytes.at[i / 2];
        }
    }
}

template <class T, bool Fast> void launch(graft_context* c, const graft_nf4_quantize_args* a) {
    const int64_t blocks = elements(a->x) / kNF4Block;
    GRAFT_LAUNCH((quantize<T, Fast>), dim3(blocks_for(ceil_div(blocks * kLanes, kThreads))), dim3(kThreads), 0, c->stream,
                 view<uint8_t>(a->codes), data<float>(a->absmax), view<const T>(a->x), blocks);
}

}  // namespace

graft_status* nf4_quantize(graft_context* c, const graft_nf4_quantize_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    const int64_t n = rows(a->x), k = cols(a->x);
    if (k % 2 || n * k % kNF4Block)
        return error(GRAFT_INVALID_ARGUMENT, "x of %lld rows of %lld: no whole bytes and whole blocks of 64", (long long)n, (long long)k);
    GRAFT_TRY(check_shape("codes", a->codes, kU8, n, k / 2));
    GRAFT_TRY(check_flat("absmax", a->absmax, kF32, n * k / kNF4Block));
    if (n * k == 0) return nullptr;
    const bool fast = packs(a->x, kPerLane) && reinterpret_cast<uintptr_t>(a->codes.data) % 4 == 0 && a->codes.pitch % 4 == 0;
    GRAFT_BY_TYPE(a->x, T, {
        if (fast) launch<T, true>(c, a);
        else launch<T, false>(c, a);
    });
    GRAFT_TRY(launched());
    return weights_written(c);
}

}  // namespace graft::cuda

// NF4 (Dettmers et al., arXiv 2305.14314, appendix E): the codes, the map of the
// nested scales, and how both are read. Products and sums are rounded one by one, as
// bitsandbytes does them, so values are the same to the bit.
#pragma once

#include <algorithm>

#include "weight.cuh"

namespace graft::cuda {

constexpr int kNF4Block = 64;   // elements that share a scale
constexpr int kNested = 256;    // scales that share a scale

__device__ constexpr float kNF4Code[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// The signed dynamic map (Dettmers, arXiv 1511.04561): for e of 0..6 the means of
// 2^e equal cells of [0.1, 1] times 10^(e-6), both signs, and 0 and 1. Boundaries
// are rounded once, as torch.linspace does, and everything after in float32.
struct DynamicMap {
    float at[256];
    DynamicMap() {
        const float scales[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
        int n = 0;
        at[n++] = 0.0f;
        at[n++] = 1.0f;
        for (int e = 0; e < 7; ++e) {
            const int cells = 1 << e;
            const double step = (1.0f - 0.1f) / float(cells);
            const auto edge = [&](int k) {
                return float(k < (cells + 1) / 2 ? double(0.1f) + step * k : 1.0 - step * (cells - k));
            };
            for (int k = 0; k < cells; ++k) {
                const float mean = (edge(k) + edge(k + 1)) / 2.0f * scales[e];
                at[n++] = mean;
                at[n++] = -mean;
            }
        }
        std::sort(at, at + 256);
    }
};

// The scales of a weight: plain, or codes of the map with nested scales.
struct NF4Scales {
    const uint8_t* codes;
    const float *plain, *nested, *offset;

    // map and first are map.at and offset[0] where scales are codes.
    __device__ float operator()(int64_t block, const float* map, float first) const {
        if (!codes) return plain[block];
        return __fadd_rn(__fmul_rn(map[codes[block]], nested[block / kNested]), first);
    }
};
inline NF4Scales nf4_scales(const graft_weight& w) {
    const bool nested = w.absmax.dtype == GRAFT_U8;
    return {nested ? data<const uint8_t>(w.absmax) : nullptr, nested ? nullptr : data<const float>(w.absmax),
            data<const float>(w.nested), data<const float>(w.offset)};
}
inline const DynamicMap& dynamic_map() {
    static const DynamicMap map;
    return map;
}

// Few tokens, as in generation: y [tokens,out] = x W^T + s b^T + bias, s [tokens,rank]
// and b [out,rank] in the type of x and y. The codes are read once and never written out.
struct NF4Rows {
    graft_tensor y, x, bias;
    Operand s, b;
    int64_t rank;
};
bool nf4_rows_takes(const graft_weight& w, const graft_tensor& x);
graft_status* nf4_rows(graft_context* c, const graft_weight& w, const NF4Rows& r);

}  // namespace graft::cuda

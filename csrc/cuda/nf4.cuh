// NF4 (Dettmers et al., arXiv 2305.14314, appendix E): the codes, the map of the
// nested scales, and how both are read. Products and sums are rounded one by one, as
// bitsandbytes does them, so values are the same to the bit.
#pragma once

#include "dynamic.cuh"
#include "weight.cuh"

namespace graft::cuda {

constexpr int kNF4Block = 64;   // elements that share a scale
constexpr int kNested = 256;    // scales that share a scale

__device__ constexpr float kNF4Code[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

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

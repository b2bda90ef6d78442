// The mask of dropout, a pure function of counters: the backward pass draws it again.
#pragma once

#include "context.cuh"
#include "philox.cuh"

namespace graft::cuda {

struct Mask {
    const uint32_t* seed;
    uint32_t site, threshold;
    float keep, lose;  // what an element is multiplied by
    // Four neighbours share the words of one counter.
    __device__ float factor(int64_t element) const {
        const Philox words = philox({uint32_t(element / 4), site, seed[2], seed[3]}, seed[0], seed[1]);
        return words.at[element % 4] >= threshold ? keep : lose;
    }
};
// Of drop(x), or, with rest, of x - drop(x).
inline Mask mask(const graft_dropout& d, bool rest = false) {
    const float kept = 1.0f / (1.0f - d.p);
    return {data<const uint32_t>(d.seed), d.site, d.threshold, rest ? 1.0f - kept : kept, rest ? 1.0f : 0.0f};
}

// to = the part of from that the mask leaves, or to += it; the same type.
void drop(graft_context* c, const graft_tensor& to, const graft_tensor& from, const Mask& m, bool add);

}  // namespace graft::cuda

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011): four random words, a pure function of counter and key.
#pragma once

#include "portable.cuh"

namespace graft::cuda {

struct Philox {
    uint32_t at[4];
};

__device__ inline Philox philox(Philox c, uint32_t key0, uint32_t key1) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint32_t high0 = __umulhi(0xD2511F53u, c.at[0]), low0 = 0xD2511F53u * c.at[0];
        const uint32_t high1 = __umulhi(0xCD9E8D57u, c.at[2]), low1 = 0xCD9E8D57u * c.at[2];
        c = {{high1 ^ c.at[1] ^ key0, low1, high0 ^ c.at[3] ^ key1, low0}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c;
}

}  // namespace graft::cuda

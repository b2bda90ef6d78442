// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011): four random words, a pure function of counter and key.
#pragma once
#include <cstdint>

namespace graft::cpu {

struct Words {
    uint32_t w[4];
};
inline Words philox(Words c, uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t a = uint64_t(0xD2511F53) * c.w[0], b = uint64_t(0xCD9E8D57) * c.w[2];
        c = {{uint32_t(b >> 32) ^ c.w[1] ^ k0, uint32_t(b), uint32_t(a >> 32) ^ c.w[3] ^ k1, uint32_t(a)}};
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c;
}

}  // namespace graft::cpu

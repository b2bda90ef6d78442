// Philox4x32-10, and the mask of dropout that is drawn from it.
#pragma once

#include <array>
#include <cstdint>

namespace test {

inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t(0xD2511F53) * c[0], b = uint64_t(0xCD9E8D57) * c[2];
        c = {uint32_t(b >> 32) ^ c[1] ^ key0, uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ key1, uint32_t(a)};
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return c;
}

// What an element is multiplied by: 1/(1-p), or 0 where it is dropped.
inline double dropped(int64_t element, double p, uint32_t site, const std::array<uint32_t, 4>& seed) {
    if (p == 0) return 1.0;
    const uint32_t word = philox({uint32_t(element / 4), site, seed[2], seed[3]}, seed[0], seed[1])[size_t(element % 4)];
    return word >= uint32_t(p * 4294967296.0) ? 1 / (1 - p) : 0.0;
}

}  // namespace test

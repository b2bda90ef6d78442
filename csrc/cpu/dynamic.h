// The dynamic maps of bitsandbytes: 256 values, dense near zero, for scales and
// moments in eight bits.
#pragma once
#include <cstdint>
#include <cstring>

namespace graft::cpu {

// The code of x is the number of midpoints below it. Its magnitude's exponent
// and upper seven bits choose a bucket in which there is one midpoint at most:
// so coding is a look-up and a comparison, which vectorise
// (optimizer_body.h).
struct DynamicMap {
    static constexpr int32_t kLow = 103 << 7, kBuckets = (127 << 7) - kLow + 1;  // 2^-24 and less, up to 1

    float value[256];
    float mid[256];                // the last is infinite
    int32_t start[2 * kBuckets];   // midpoints below a bucket; those of negative numbers follow

    explicit DynamicMap(bool is_signed);
};

extern const DynamicMap kSignedMap, kUnsignedMap;

}  // namespace graft::cpu

#include "dynamic.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace graft::cpu {

// For i = 0..6 the means of equal cells of [0.1, 1], 2^i with both signs or
// 2^(i+1) without, times 10^(i-6); 0 and 1. Boundaries are rounded once, as
// torch.linspace does, and everything after in float32.
DynamicMap::DynamicMap(bool is_signed) {
    int n = 0;
    value[n++] = 0;
    value[n++] = 1;
    const double low = 0.1f;
    const float scales[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1};
    for (int i = 0; i < 7; i++) {
        const int cells = (is_signed ? 1 : 2) << i;
        const float step = (1.0f - 0.1f) / float(cells);
        const auto boundary = [&](int k) {
            return float(k < (cells + 1) / 2 ? low + double(step) * k : 1 - double(step) * (cells - k));
        };
        for (int k = 0; k < cells; k++) {
            const float mean = (boundary(k) + boundary(k + 1)) / 2 * scales[i];
            value[n++] = mean;
            if (is_signed) value[n++] = -mean;
        }
    }
    std::sort(value, value + 256);
    for (int i = 0; i < 255; i++) mid[i] = 0.5f * (value[i] + value[i + 1]);
    mid[255] = std::numeric_limits<float>::infinity();
    for (int key = 0; key < kBuckets; key++) {
        // A bucket holds the magnitudes [smallest, beyond); the lowest one all that are less.
        float smallest = 0, beyond;
        const uint32_t from = uint32_t(key + kLow) << 16, to = uint32_t(key + kLow + 1) << 16;
        if (key > 0) std::memcpy(&smallest, &from, 4);
        std::memcpy(&beyond, &to, 4);
        start[key] = int32_t(std::lower_bound(mid, mid + 255, smallest) - mid);
        start[key + kBuckets] = int32_t(std::lower_bound(mid, mid + 255, std::nextafter(-beyond, 0.0f)) - mid);
    }
}

const DynamicMap kSignedMap(true), kUnsignedMap(false);

}  // namespace graft::cpu

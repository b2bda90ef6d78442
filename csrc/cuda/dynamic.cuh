// The dynamic maps of bitsandbytes (Dettmers, arXiv 1511.04561): 256 values, dense
// near zero, for scales of NF4 and for moments in eight bits.
#pragma once

#include <algorithm>

#include "portable.cuh"

namespace graft::cuda {

// For e of 0..6 the means of equal cells of [0.1, 1] times 10^(e-6), 2^e with both
// signs or 2^(e+1) without, and 0 and 1. Boundaries are rounded once, as
// torch.linspace does, and everything after in float32.
struct DynamicMap {
    float at[256];
    explicit DynamicMap(bool is_signed) {
        const float scales[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
        int n = 0;
        at[n++] = 0.0f;
        at[n++] = 1.0f;
        for (int e = 0; e < 7; ++e) {
            const int cells = (is_signed ? 1 : 2) << e;
            const double step = (1.0f - 0.1f) / float(cells);
            const auto edge = [&](int k) {
                return float(k < (cells + 1) / 2 ? double(0.1f) + step * k : 1.0 - step * (cells - k));
            };
            for (int k = 0; k < cells; ++k) {
                const float mean = (edge(k) + edge(k + 1)) / 2.0f * scales[e];
                at[n++] = mean;
                if (is_signed) at[n++] = -mean;
            }
        }
        std::sort(at, at + 256);
    }
};
inline const DynamicMap& signed_map() {
    static const DynamicMap map(true);
    return map;
}
inline const DynamicMap& unsigned_map() {
    static const DynamicMap map(false);
    return map;
}

// The code of x: the number of middles between neighbours that lie below it. The
// place is guessed from the decade and the cell within it, and then made exact.
template <bool Signed> __device__ inline int nearest_code(const float* map, float x) {
    const float size = fabsf(x);
    int decade = 6;
    float scaled = size;
    while (decade > 0 && scaled < 0.1f) {
        scaled *= 10.0f;
        --decade;
    }
    const int cells = (Signed ? 1 : 2) << decade, before = Signed ? cells - 1 : cells - 2;
    int cell = int((scaled - 0.1f) * float(cells) / 0.9f);
    cell = cell < 0 ? 0 : cell >= cells ? cells - 1 : cell;
    int code = Signed ? (x < 0.0f ? 126 - before - cell : 128 + before + cell) : 1 + before + cell;
    while (code > 0 && !(0.5f * (map[code - 1] + map[code]) < x)) --code;
    while (code < 255 && 0.5f * (map[code] + map[code + 1]) < x) ++code;
    return code;
}

}  // namespace graft::cuda

#include "weight.h"

#include <array>

namespace graft::cpu {

const float kNF4Table[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

namespace {

// For i = 0..6 the means of the 2^i equal cells of [0.1, 1], times 10^(i-6),
// with both signs; 0 and 1. Boundaries are rounded once, as torch.linspace
// does, and everything after in float32.
std::array<float, 256> dynamic_map() {
    std::array<float, 256> map = {};
    int n = 0;
    map[n++] = 0;
    map[n++] = 1;
    const double low = 0.1f;
    for (int i = 0; i < 7; i++) {
        const int cells = 1 << i;
        const float step = (1.0f - 0.1f) / float(cells), scale = std::array<float, 7>{1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1}[size_t(i)];
        const auto boundary = [&](int k) {
            return float(k < (cells + 1) / 2 ? low + double(step) * k : 1 - double(step) * (cells - k));
        };
        for (int k = 0; k < cells; k++) {
            const float mean = (boundary(k) + boundary(k + 1)) / 2 * scale;
            map[n++] = mean;
            map[n++] = -mean;
        }
    }
    std::sort(map.begin(), map.end());
    return map;
}

const std::array<float, 256> kMap = dynamic_map();

}  // namespace

const float* const kDynamicMap = kMap.data();

graft_status* check_weight(const graft_weight& w, graft_dtype activations) {
    if (!is_nf4(w)) return check_shape("weight", w.data, kF32 | 1u << activations, w.out, w.in);
    if (w.in % 64) return error(GRAFT_INVALID_ARGUMENT, "NF4 weight: %lld columns, expected a multiple of 64", static_cast<long long>(w.in));
    const int64_t blocks = w.out * w.in / 64;
    GRAFT_TRY(check_flat("NF4 codes", w.data, kU8, w.out * w.in / 2));
    GRAFT_TRY(check_flat("absmax", w.absmax, kF32 | kU8, blocks));
    if (w.absmax.dtype != GRAFT_U8) return nullptr;
    GRAFT_TRY(check_flat("nested absmax", w.nested, kF32, (blocks + 255) / 256));
    return check_flat("offset of absmax", w.offset, kF32, 1);
}

NF4Scales nf4_scales(const graft_weight& w) {
    if (w.absmax.dtype == GRAFT_F32) return {data<const float>(w.absmax), nullptr, nullptr, 0};
    return {nullptr, data<const uint8_t>(w.absmax), data<const float>(w.nested), *data<const float>(w.offset)};
}

}  // namespace graft::cpu

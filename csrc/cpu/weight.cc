#include "weight.h"

namespace graft::cpu {

const float kNF4Table[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

graft_status* check_weight(const graft_weight& w, graft_dtype activations) {
    if (!is_nf4(w)) return check_shape("weight", w.data, kF32 | 1u << activations, w.out, w.in);
    if (w.in % kNF4Block) return error(GRAFT_INVALID_ARGUMENT, "NF4 weight: %lld columns, expected a multiple of 64", static_cast<long long>(w.in));
    return check_nf4(w);
}

graft_status* check_nf4(const graft_weight& w) {
    if (w.in % 2 || w.out * w.in % kNF4Block)
        return error(GRAFT_INVALID_ARGUMENT, "NF4 weight: %lld rows of %lld: no whole bytes and whole blocks of 64", static_cast<long long>(w.out),
                     static_cast<long long>(w.in));
    const int64_t blocks = w.out * w.in / kNF4Block;
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

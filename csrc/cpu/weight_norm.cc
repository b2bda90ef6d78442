// weight_norm: the length of each row of W + scale B A (DoRA, arXiv 2402.09353, §4.1).
//
// A row is made in parts of kPart columns on the stack; neither the sum of the
// matrices nor a decoded W exists.
#include "simd.h"
#include "weight.h"

#define GRAFT_KERNELS "weight_norm_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {

constexpr int64_t kPart = 512;  // a multiple of the block of NF4

void decode(float* part, const graft_weight& w, const NF4Scales& scales, int64_t first, int64_t n) {
    const uint8_t* codes = data<const uint8_t>(w.data);
    for (int64_t j = 0; j < n; j++) {
        const int64_t e = first + j;
        const int code = e % 2 ? codes[e / 2] & 15 : codes[e / 2] >> 4;
        part[j] = kNF4Table[code] * scales(e / 64);
    }
}

}  // namespace

graft_status* weight_norm(graft_context* context, const graft_weight_norm_args* args) {
    const graft_weight_norm_args& l = *args;
    const graft_weight& w = l.w;
    GRAFT_TRY(check_flat("norm", l.norm, kF32, w.out));
    GRAFT_TRY(check_weight(w, is_nf4(w) ? GRAFT_F32 : graft_dtype(w.data.dtype)));
    GRAFT_TRY(check_shape("A", l.a, kF32, -1, w.in));
    const int64_t rank = rows(l.a);
    GRAFT_TRY(check_shape("B", l.b, kF32, w.out, rank));
    const NF4Scales scales = is_nf4(w) ? nf4_scales(w) : NF4Scales{};
    for_rows(context, w.out, (rank + 1) * w.in, [&](Range r) {
        float part[kPart];
        for (int64_t o = r.begin; o < r.end; o++) {
            float squares = 0;
            for (int64_t first = 0; first < w.in; first += kPart) {
                const int64_t n = std::min(kPart, w.in - first);
                if (is_nf4(w)) decode(part, w, scales, o * w.in + first, n);
                else GRAFT_BY_TYPE(w.data, T, GRAFT_DISPATCH(context, cast, part, data<const T>(w.data) + o * w.data.pitch + first, n));
                GRAFT_DISPATCH(context, add_squares, &squares, part, data<const float>(l.a) + first, l.a.pitch,
                               data<const float>(l.b) + o * l.b.pitch, rank, l.scale, n);
            }
            data<float>(l.norm)[o] = __builtin_sqrtf(squares);
        }
    });
    return nullptr;
}

}  // namespace graft::cpu

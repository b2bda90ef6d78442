// nf4_quantize (Dettmers et al., arXiv 2305.14314, appendix E), bit-equal to
// bitsandbytes: a code is the number of midpoints below value / absmax, so that a
// tie takes the lower one.
#include "simd.h"
#include "weight.h"

#define GRAFT_KERNELS "nf4_quantize_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {

template <class T> void quantize(graft_context* context, const graft_nf4_quantize_args& a, int64_t b, const float* mid) {
    const int64_t k = cols(a.x);
    float value[kNF4Block];
    uint8_t codes[kNF4Block / 2];
    each_part(b, k, [&](int64_t row, int64_t column, int64_t i, int64_t n) {
        GRAFT_DISPATCH(context, cast, value + i, data<const T>(a.x) + row * a.x.pitch + column, n);
    });
    GRAFT_DISPATCH(context, quantize_block, codes, data<float>(a.absmax) + b, value, mid);
    each_part(b, k, [&](int64_t row, int64_t column, int64_t i, int64_t n) {  // k is even, and so are the parts
        std::memcpy(data<uint8_t>(a.codes) + row * a.codes.pitch + column / 2, codes + i / 2, size_t(n / 2));
    });
}

}  // namespace

graft_status* nf4_quantize(graft_context* context, const graft_nf4_quantize_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    const int64_t n = rows(a->x), k = cols(a->x);
    if (k % 2 || n * k % kNF4Block)
        return error(GRAFT_INVALID_ARGUMENT, "x of %lld rows of %lld: no whole bytes and whole blocks of 64", static_cast<long long>(n),
                     static_cast<long long>(k));
    GRAFT_TRY(check_shape("codes", a->codes, kU8, n, k / 2));
    GRAFT_TRY(check_flat("absmax", a->absmax, kF32, n * k / kNF4Block));
    float mid[15];
    for (int i = 0; i < 15; i++) mid[i] = (kNF4Table[i] + kNF4Table[i + 1]) / 2;
    for_rows(context, n * k / kNF4Block, 8 * kNF4Block, [&](Range r) {
        for (int64_t b = r.begin; b < r.end; b++) GRAFT_BY_TYPE(a->x, T, quantize<T>(context, *a, b, mid));
    });
    return nullptr;
}

}  // namespace graft::cpu

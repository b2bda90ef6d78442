// nf4_quantize (Dettmers et al., arXiv 2305.14314, appendix E), bit-equal to
// bitsandbytes: a code is the number of midpoints below value / absmax, so that a
// tie takes the lower one.
#include "weight.h"

namespace graft::cpu {

namespace {

constexpr int64_t kBlock = 64;

// A search in four comparisons; mid are the midpoints of the table.
inline uint8_t nf4_code(const float* mid, float x) {
    int n = mid[7] < x ? 8 : 0;
    n += mid[n + 3] < x ? 4 : 0;
    n += mid[n + 1] < x ? 2 : 0;
    n += mid[n] < x ? 1 : 0;
    return uint8_t(n);
}

// Block b of x, counted over rows, which are of an even length.
template <class T> void quantize_block(const graft_nf4_quantize_args& a, int64_t b, const float* mid) {
    const int64_t k = cols(a.x);
    float value[kBlock], largest = 0;
    for (int64_t i = 0; i < kBlock; i++) {
        const int64_t e = b * kBlock + i;
        value[i] = widen(data<const T>(a.x)[e / k * a.x.pitch + e % k]);
        largest = std::max(largest, std::max(value[i], -value[i]));
    }
    data<float>(a.absmax)[b] = largest;
    const float inverse = 1 / std::max(largest, 1e-38f);
    for (int64_t i = 0; i < kBlock; i += 2) {
        const int64_t e = b * kBlock + i;
        data<uint8_t>(a.codes)[e / k * a.codes.pitch + e % k / 2] =
            uint8_t(nf4_code(mid, value[i] * inverse) << 4 | nf4_code(mid, value[i + 1] * inverse));
    }
}

}  // namespace

graft_status* nf4_quantize(graft_context* context, const graft_nf4_quantize_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    const int64_t n = rows(a->x), k = cols(a->x);
    if (k % 2 || n * k % kBlock)
        return error(GRAFT_INVALID_ARGUMENT, "x of %lld rows of %lld: no whole bytes and whole blocks of 64", static_cast<long long>(n),
                     static_cast<long long>(k));
    GRAFT_TRY(check_shape("codes", a->codes, kU8, n, k / 2));
    GRAFT_TRY(check_flat("absmax", a->absmax, kF32, n * k / kBlock));
    float mid[15];
    for (int i = 0; i < 15; i++) mid[i] = (kNF4Table[i] + kNF4Table[i + 1]) / 2;
    for_rows(context, n * k / kBlock, 8 * kBlock, [&](Range r) {
        for (int64_t b = r.begin; b < r.end; b++) GRAFT_BY_TYPE(a->x, T, quantize_block<T>(*a, b, mid));
    });
    return nullptr;
}

}  // namespace graft::cpu

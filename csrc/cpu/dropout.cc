// Dropout of an adapter's input, by counter: the backward pass draws the same mask.
#include "linear.h"

namespace graft::cpu {

namespace {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
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

// Elements [first, first + n) of the flat list of x's, those of one row.
template <class D, class S, bool kAdd>
void drop_row(D* dst, const S* x, int64_t first, int64_t n, const graft_dropout& d, float keep) {
    const uint32_t* seed = data<const uint32_t>(d.seed);
    Words words = {};
    for (int64_t j = 0; j < n; j++) {
        const uint64_t e = uint64_t(first + j);
        if (j == 0 || e % 4 == 0) words = philox({{uint32_t(e / 4), d.site, seed[2], seed[3]}}, seed[0], seed[1]);
        const float v = words.w[e % 4] >= d.threshold ? widen(x[j]) * keep : 0;
        put(dst + j, kAdd ? widen(dst[j]) + v : v);
    }
}

template <bool kAdd, class D, class S>
void drop_rows(graft_context* context, const graft_tensor& dst, const graft_tensor& x, const graft_dropout& d) {
    const int64_t n = cols(x);
    const float keep = 1 / (1 - d.p);
    for_rows(context, rows(x), 8 * n, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++)
            drop_row<D, S, kAdd>(data<D>(dst) + t * dst.pitch, data<const S>(x) + t * x.pitch, t * n, n, d, keep);
    });
}

}  // namespace

void drop(graft_context* context, const graft_tensor& dst, const graft_tensor& x, const graft_dropout& d) {
    if (x.dtype == GRAFT_BF16) drop_rows<false, bf16, bf16>(context, dst, x, d);
    else drop_rows<false, float, float>(context, dst, x, d);
}

void add_dropped(graft_context* context, const graft_tensor& dst, const graft_tensor& x, const graft_dropout& d) {
    if (dst.dtype == GRAFT_BF16) drop_rows<true, bf16, float>(context, dst, x, d);
    else drop_rows<true, float, float>(context, dst, x, d);
}

}  // namespace graft::cpu

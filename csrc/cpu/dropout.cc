// dropout, by counter: the backward pass draws the same mask. Of an adapter's input it is a part of linear.
#include "linear.h"
#include "philox.h"

namespace graft::cpu {

namespace {

// Elements [first, first + n) of the flat list of x's, those of one row.
// Each is multiplied by keep or by lose.
template <class D, class S, bool kAdd>
void drop_row(D* dst, const S* x, int64_t first, int64_t n, const graft_dropout& d, float keep, float lose) {
    const uint32_t* seed = data<const uint32_t>(d.seed);
    Words words = {};
    for (int64_t j = 0; j < n; j++) {
        const uint64_t e = uint64_t(first + j);
        if (j == 0 || e % 4 == 0) words = philox({{uint32_t(e / 4), d.site, seed[2], seed[3]}}, seed[0], seed[1]);
        const float v = widen(x[j]) * (words.w[e % 4] >= d.threshold ? keep : lose);
        put(dst + j, kAdd ? widen(dst[j]) + v : v);
    }
}

template <bool kAdd, class D, class S>
void drop_rows(graft_context* context, const graft_tensor& dst, const graft_tensor& x, const graft_dropout& d, bool rest) {
    const int64_t n = cols(x);
    const float kept = 1 / (1 - d.p), keep = rest ? 1 - kept : kept, lose = rest ? 1.0f : 0.0f;
    for_rows(context, rows(x), 8 * n, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++)
            drop_row<D, S, kAdd>(data<D>(dst) + t * dst.pitch, data<const S>(x) + t * x.pitch, t * n, n, d, keep, lose);
    });
}

}  // namespace

void drop(graft_context* context, const graft_tensor& dst, const graft_tensor& x, const graft_dropout& d) {
    if (x.dtype == GRAFT_BF16) drop_rows<false, bf16, bf16>(context, dst, x, d, false);
    else drop_rows<false, float, float>(context, dst, x, d, false);
}

void add_dropped(graft_context* context, const graft_tensor& dst, const graft_tensor& x, const graft_dropout& d) {
    if (dst.dtype == GRAFT_BF16) drop_rows<true, bf16, float>(context, dst, x, d, false);
    else drop_rows<true, float, float>(context, dst, x, d, false);
}

graft_status* dropout(graft_context* context, const graft_dropout_args* a) {
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    GRAFT_TRY(check_shape("x", a->x, same(a->y), rows(a->y), cols(a->y)));
    GRAFT_TRY(check_flat("seed", a->drop.seed, kU32, 4));
    if (!(a->drop.p >= 0 && a->drop.p < 1)) return error(GRAFT_INVALID_ARGUMENT, "dropout of %g", double(a->drop.p));
    const bool rest = a->rest != 0;
    GRAFT_BY_TYPE(a->y, T, {
        if (a->accumulate) drop_rows<true, T, T>(context, a->y, a->x, a->drop, rest);
        else drop_rows<false, T, T>(context, a->y, a->x, a->drop, rest);
    });
    return nullptr;
}

}  // namespace graft::cpu

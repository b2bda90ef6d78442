// zero, cast, add: flat loops.
#include "simd.h"

namespace graft::cpu {

graft_status* zero(graft_context* context, const graft_zero_args* a) {
    GRAFT_TRY(check_flat("dst", a->dst, kAny, -1));
    static const int sizes[] = {4, 2, 8, 4, 4, 1};
    const int64_t bytes = elements(a->dst) * sizes[a->dst.dtype];
    char* dst = data<char>(a->dst);
    for_rows(context, bytes, 1, [&](Range r) { std::memset(dst + r.begin, 0, size_t(r.end - r.begin)); });
    return nullptr;
}

graft_status* cast(graft_context* context, const graft_cast_args* a) {
    GRAFT_TRY(check_flat("dst", a->dst, kFloat, -1));
    GRAFT_TRY(check_flat("src", a->src, kFloat, elements(a->dst)));
    GRAFT_BY_TYPE(a->dst, D, GRAFT_BY_TYPE(a->src, S, {
        D* dst = data<D>(a->dst);
        const S* src = data<const S>(a->src);
        for_rows(context, elements(a->dst), 1, [&](Range r) {
            GRAFT_DISPATCH(context, cast, dst + r.begin, src + r.begin, r.end - r.begin);
        });
    }));
    return nullptr;
}

graft_status* add(graft_context* context, const graft_add_args* a) {
    GRAFT_TRY(check_flat("dst", a->dst, kFloat, -1));
    GRAFT_TRY(check_flat("a", a->a, same(a->dst), elements(a->dst)));
    GRAFT_TRY(check_flat("b", a->b, same(a->dst), elements(a->dst)));
    GRAFT_BY_TYPE(a->dst, T, for_rows(context, elements(a->dst), 1, [&](Range r) {
        GRAFT_DISPATCH(context, add, data<T>(a->dst) + r.begin, data<T>(a->a) + r.begin, data<T>(a->b) + r.begin,
                       r.end - r.begin);
    }));
    return nullptr;
}

}  // namespace graft::cpu

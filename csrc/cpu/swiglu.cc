// swiglu (Shazeer, arXiv 2002.05202) and its backward pass.
//
// With s = sigmoid(gate):  y = gate s up,
// dgate = dy up s (1 + gate (1 − s)),  dup = dy gate s.
#include "simd.h"

#define GRAFT_KERNELS "swiglu_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

graft_status* swiglu(graft_context* context, const graft_swiglu_args* a) {
    GRAFT_TRY(check_flat("y", a->y, kFloat, -1));
    const int64_t n = elements(a->y);
    GRAFT_TRY(check_flat("gate", a->gate, same(a->y), n));
    GRAFT_TRY(check_flat("up", a->up, same(a->y), n));
    GRAFT_BY_TYPE(a->y, T, for_rows(context, n, 4, [&](Range r) {
        GRAFT_DISPATCH(context, swiglu, data<T>(a->y) + r.begin, data<T>(a->gate) + r.begin, data<T>(a->up) + r.begin,
                       r.end - r.begin);
    }));
    return nullptr;
}

graft_status* swiglu_backward(graft_context* context, const graft_swiglu_backward_args* a) {
    GRAFT_TRY(check_flat("dy", a->dy, kFloat, -1));
    const int64_t n = elements(a->dy);
    for (auto [name, t] : {std::pair{"dgate", &a->dgate}, {"dup", &a->dup}, {"gate", &a->gate}, {"up", &a->up}})
        GRAFT_TRY(check_flat(name, *t, same(a->dy), n));
    GRAFT_BY_TYPE(a->dy, T, for_rows(context, n, 4, [&](Range r) {
        GRAFT_DISPATCH(context, swiglu_backward, data<T>(a->dgate) + r.begin, data<T>(a->dup) + r.begin,
                       data<T>(a->dy) + r.begin, data<T>(a->gate) + r.begin, data<T>(a->up) + r.begin, r.end - r.begin);
    }));
    return nullptr;
}

}  // namespace graft::cpu

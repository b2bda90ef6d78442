// activation and its backward pass: GELU (Hendrycks and Gimpel, arXiv 1606.08415) exactly and by tanh, tanh, ReLU.
#include "simd.h"

#define GRAFT_KERNELS "activation_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {
graft_status* check_function(int32_t f) {
    return f >= GRAFT_GELU && f <= GRAFT_RELU ? nullptr : error(GRAFT_INVALID_ARGUMENT, "activation function %d", f);
}
}  // namespace

graft_status* activation(graft_context* context, const graft_activation_args* a) {
    GRAFT_TRY(check_flat("y", a->y, kFloat, -1));
    const int64_t n = elements(a->y);
    GRAFT_TRY(check_flat("x", a->x, same(a->y), n));
    GRAFT_TRY(check_function(a->f));
    GRAFT_BY_TYPE(a->y, T, for_rows(context, n, 4, [&](Range r) {
        GRAFT_DISPATCH(context, activation, a->f, data<T>(a->y) + r.begin, data<T>(a->x) + r.begin, r.end - r.begin);
    }));
    return nullptr;
}

graft_status* activation_backward(graft_context* context, const graft_activation_backward_args* a) {
    GRAFT_TRY(check_flat("dx", a->dx, kFloat, -1));
    const int64_t n = elements(a->dx);
    GRAFT_TRY(check_flat("dy", a->dy, same(a->dx), n));
    GRAFT_TRY(check_flat("x", a->x, same(a->dx), n));
    GRAFT_TRY(check_function(a->f));
    GRAFT_BY_TYPE(a->dx, T, for_rows(context, n, 4, [&](Range r) {
        GRAFT_DISPATCH(context, activation_backward, a->f, data<T>(a->dx) + r.begin, data<T>(a->dy) + r.begin,
                       data<T>(a->x) + r.begin, r.end - r.begin);
    }));
    return nullptr;
}

}  // namespace graft::cpu

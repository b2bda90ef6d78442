// layer_norm and its backward pass (Ba, Kiros and Hinton, arXiv 1607.06450), one row at a time.
//
// With x^ = (x − mean) rstd and g = dy w:  dx = rstd (g − mean(g) − x^ mean(g x^)),
// dw = sum of dy x^,  dbias = sum of dy.
#include "simd.h"

#define GRAFT_KERNELS "layer_norm_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

graft_status* layer_norm(graft_context* context, const graft_layer_norm_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    const int64_t n = rows(a->x), h = cols(a->x);
    const bool residual = given(a->residual);
    GRAFT_TRY(check_shape("y", a->y, same(a->x), n, h));
    GRAFT_TRY(check_flat("mean", a->mean, kF32, n));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->x) | kF32, h));
    GRAFT_TRY(check_flat("bias", a->bias, same(a->w), h));
    if (residual != given(a->sum)) return error(GRAFT_INVALID_ARGUMENT, "sum and residual go together");
    GRAFT_TRY(check_optional("residual", a->residual, same(a->x), n, h));
    GRAFT_TRY(check_optional("sum", a->sum, same(a->x), n, h));
    GRAFT_BY_TYPE(a->x, T, GRAFT_BY_TYPE(a->w, W, for_rows(context, n, h, [&](Range r) {
        for (int64_t i = r.begin; i < r.end; i++) {
            const T* x = data<T>(a->x) + i * a->x.pitch;
            if (residual) {
                T* sum = data<T>(a->sum) + i * a->sum.pitch;
                GRAFT_DISPATCH(context, add, sum, x, data<T>(a->residual) + i * a->residual.pitch, h);
                x = sum;
            }
            GRAFT_DISPATCH(context, layer_norm_row, data<T>(a->y) + i * a->y.pitch, data<float>(a->mean) + i,
                           data<float>(a->rstd) + i, x, data<W>(a->w), data<W>(a->bias), h, a->eps);
        }
    })));
    return nullptr;
}

graft_status* layer_norm_backward(graft_context* context, const graft_layer_norm_backward_args* a) {
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, -1));
    const int64_t n = rows(a->dy), h = cols(a->dy);
    GRAFT_TRY(check_shape("x", a->x, same(a->dy), n, h));
    GRAFT_TRY(check_flat("mean", a->mean, kF32, n));
    GRAFT_TRY(check_flat("rstd", a->rstd, kF32, n));
    GRAFT_TRY(check_flat("w", a->w, same(a->dy) | kF32, h));
    GRAFT_TRY(check_optional("dx", a->dx, same(a->dy), n, h));
    if (given(a->dw)) GRAFT_TRY(check_flat("dw", a->dw, kF32, h));
    if (given(a->dbias)) GRAFT_TRY(check_flat("dbias", a->dbias, kF32, h));
    const float *mean = data<float>(a->mean), *rstd = data<float>(a->rstd);
    if (given(a->dw) || given(a->dbias))  // first, for dx may be dy; threads share the columns and take the rows in order
        GRAFT_BY_TYPE(a->dy, T, for_rows(context, h, n, [&](Range r) {
            float* dw = given(a->dw) ? data<float>(a->dw) + r.begin : nullptr;
            float* dbias = given(a->dbias) ? data<float>(a->dbias) + r.begin : nullptr;
            GRAFT_DISPATCH(context, layer_norm_dw, dw, dbias, data<T>(a->dy) + r.begin, a->dy.pitch,
                           data<T>(a->x) + r.begin, a->x.pitch, mean, rstd, n, r.end - r.begin);
        }));
    if (given(a->dx))
        GRAFT_BY_TYPE(a->dy, T, GRAFT_BY_TYPE(a->w, W, for_rows(context, n, h, [&](Range r) {
            for (int64_t i = r.begin; i < r.end; i++)
                GRAFT_DISPATCH(context, layer_norm_dx_row, data<T>(a->dx) + i * a->dx.pitch,
                               data<T>(a->dy) + i * a->dy.pitch, data<T>(a->x) + i * a->x.pitch, data<W>(a->w), mean[i],
                               rstd[i], h, a->accumulate != 0);
        })));
    return nullptr;
}

}  // namespace graft::cpu

// pool and its backward pass: one row of each sequence, whose first row, last row, mean or maximum it is.
#include "simd.h"

#define GRAFT_KERNELS "pool_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {
graft_status* check_pool(const graft_tensor& one, const graft_tensor& all, const graft_tensor& cu, int32_t kind) {
    GRAFT_TRY(check_flat("cu", cu, kI32, rows(one) + 1));
    const int32_t* bound = data<const int32_t>(cu);
    for (int64_t s = 0; s <= rows(one); s++)
        if (bound[s] < (s ? bound[s - 1] : 0) || (s == rows(one) && bound[s] != rows(all)) || (s == 0 && bound[s]))
            return error(GRAFT_INVALID_ARGUMENT, "cu[%lld] is %d: boundaries rise from 0 to %lld",
                         static_cast<long long>(s), bound[s], static_cast<long long>(rows(all)));
    return kind >= GRAFT_POOL_FIRST && kind <= GRAFT_POOL_MAX ? nullptr : error(GRAFT_INVALID_ARGUMENT, "pooling %d", kind);
}
}  // namespace

graft_status* pool(graft_context* context, const graft_pool_args* a) {
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    const int64_t n = rows(a->y), h = cols(a->y);
    GRAFT_TRY(check_shape("x", a->x, same(a->y), -1, h));
    GRAFT_TRY(check_pool(a->y, a->x, a->cu, a->kind));
    const int32_t* cu = data<const int32_t>(a->cu);
    GRAFT_BY_TYPE(a->y, T, for_rows(context, n, elements(a->x) / (n ? n : 1), [&](Range r) {
        for (int64_t s = r.begin; s < r.end; s++) {
            T* y = data<T>(a->y) + s * a->y.pitch;
            const T* x = data<T>(a->x) + cu[s] * a->x.pitch;
            const int64_t length = cu[s + 1] - cu[s];
            if (!length) std::memset(y, 0, size_t(h) * sizeof(T));
            else if (a->kind == GRAFT_POOL_FIRST) std::memcpy(y, x, size_t(h) * sizeof(T));
            else if (a->kind == GRAFT_POOL_LAST) std::memcpy(y, x + (length - 1) * a->x.pitch, size_t(h) * sizeof(T));
            else if (a->kind == GRAFT_POOL_MEAN) GRAFT_DISPATCH(context, pool_mean, y, x, a->x.pitch, length, h);
            else GRAFT_DISPATCH(context, pool_max, y, x, a->x.pitch, length, h);
        }
    }));
    return nullptr;
}

graft_status* pool_backward(graft_context* context, const graft_pool_backward_args* a) {
    GRAFT_TRY(check_shape("dx", a->dx, kFloat, -1, -1));
    const int64_t h = cols(a->dx);
    GRAFT_TRY(check_shape("dy", a->dy, same(a->dx), -1, h));
    GRAFT_TRY(check_pool(a->dy, a->dx, a->cu, a->kind));
    if (a->kind == GRAFT_POOL_MAX) GRAFT_TRY(check_shape("x", a->x, same(a->dx), rows(a->dx), h));
    const int64_t n = rows(a->dy);
    const int32_t* cu = data<const int32_t>(a->cu);
    GRAFT_BY_TYPE(a->dx, T, for_rows(context, n, elements(a->dx) / (n ? n : 1), [&](Range r) {
        for (int64_t s = r.begin; s < r.end; s++) {
            T* dx = data<T>(a->dx) + cu[s] * a->dx.pitch;
            const T* dy = data<T>(a->dy) + s * a->dy.pitch;
            const int64_t length = cu[s + 1] - cu[s];
            if (!length) continue;
            if (a->kind == GRAFT_POOL_MEAN) {
                GRAFT_DISPATCH(context, pool_mean_backward, dx, dy, a->dx.pitch, length, h);
                continue;
            }
            for (int64_t t = 0; t < length; t++) std::memset(dx + t * a->dx.pitch, 0, size_t(h) * sizeof(T));
            if (a->kind == GRAFT_POOL_MAX)
                GRAFT_DISPATCH(context, pool_max_backward, dx, a->dx.pitch, dy, data<T>(a->x) + cu[s] * a->x.pitch,
                               a->x.pitch, length, h);
            else
                std::memcpy(dx + (a->kind == GRAFT_POOL_LAST ? length - 1 : 0) * a->dx.pitch, dy, size_t(h) * sizeof(T));
        }
    }));
    return nullptr;
}

}  // namespace graft::cpu

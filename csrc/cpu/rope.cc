// rope_table and rope (Su et al., arXiv 2104.09864), in the layout of
// transformers: pairs (i, i + dim/2).
#include <cmath>

#include "simd.h"

#define GRAFT_KERNELS "rope_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

graft_status* rope_table(graft_context* context, const graft_rope_table_args* a) {
    GRAFT_TRY(check_shape("table", a->table, kFloat, -1, -1));
    const int64_t n = rows(a->table), half = cols(a->table) / 2;
    GRAFT_TRY(check_shape("table", a->table, kFloat, n, 2 * half));
    GRAFT_TRY(check_flat("positions", a->positions, kI32, n));
    GRAFT_TRY(check_flat("freq", a->freq, kF32, half));
    const int32_t* positions = data<int32_t>(a->positions);
    const float* freq = data<float>(a->freq);
    GRAFT_BY_TYPE(a->table, T, for_rows(context, n, 32 * half, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++) {
            T* row = data<T>(a->table) + t * a->table.pitch;
            for (int64_t i = 0; i < half; i++) {
                const float angle = float(positions[t]) * freq[i];
                const float c = float(std::cos(double(angle)) * a->scale), s = float(std::sin(double(angle)) * a->scale);
                portable::cast(row + i, &c, 1);
                portable::cast(row + half + i, &s, 1);
            }
        }
    }));
    return nullptr;
}

graft_status* rope(graft_context* context, const graft_rope_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    const int64_t n = rows(a->x), width = cols(a->x);
    GRAFT_TRY(check_shape("y", a->y, same(a->x), n, width));
    GRAFT_TRY(check_shape("table", a->table, kFloat, n, -1));
    const int64_t dim = cols(a->table), head = a->head_dim;
    if (head <= 0 || width % head || dim > head || dim % 2)
        return error(GRAFT_INVALID_ARGUMENT, "head_dim %lld: rows of %lld, table of %lld", static_cast<long long>(head),
                     static_cast<long long>(width), static_cast<long long>(dim));
    const float sign = a->inverse ? -1.0f : 1.0f;
    GRAFT_BY_TYPE(a->x, T, GRAFT_BY_TYPE(a->table, C, for_rows(context, n, width, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++) {
            T* y = data<T>(a->y) + t * a->y.pitch;
            const T* x = data<T>(a->x) + t * a->x.pitch;
            const C* table = data<C>(a->table) + t * a->table.pitch;
            for (int64_t i = 0; i < width; i += head) {
                GRAFT_DISPATCH(context, rotate, y + i, x + i, table, dim / 2, sign);
                if (y != x) std::memcpy(y + i + dim, x + i + dim, size_t(head - dim) * sizeof(T));
            }
        }
    })));
    return nullptr;
}

}  // namespace graft::cpu

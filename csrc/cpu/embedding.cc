// embedding, its backward, scatter_rows: rows found by a number.
#include "simd.h"

namespace graft::cpu {

namespace {
graft_status* check_rows(const char* name, const graft_tensor& t, int64_t limit) {
    const int32_t* ids = data<const int32_t>(t);
    for (int64_t i = 0; i < elements(t); i++)
        if (ids[i] < 0 || ids[i] >= limit)
            return error(GRAFT_INVALID_ARGUMENT, "%s[%lld] is %d, expected 0 to %lld", name, static_cast<long long>(i),
                         ids[i], static_cast<long long>(limit - 1));
    return nullptr;
}
}  // namespace

graft_status* embedding(graft_context* context, const graft_embedding_args* a) {
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    GRAFT_TRY(check_shape("table", a->table, kFloat, -1, cols(a->y)));
    GRAFT_TRY(check_flat("ids", a->ids, kI32, rows(a->y)));
    GRAFT_TRY(check_rows("ids", a->ids, rows(a->table)));
    const int32_t* ids = data<const int32_t>(a->ids);
    const int64_t h = cols(a->y);
    GRAFT_BY_TYPE(a->y, Y, GRAFT_BY_TYPE(a->table, W, for_rows(context, rows(a->y), h, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++)
            GRAFT_DISPATCH(context, cast, data<Y>(a->y) + t * a->y.pitch, data<W>(a->table) + ids[t] * a->table.pitch, h);
    })));
    return nullptr;
}

// Threads share the columns: each adds all rows of its own, in the order of t.
graft_status* embedding_backward(graft_context* context, const graft_embedding_backward_args* a) {
    GRAFT_TRY(check_shape("dtable", a->dtable, kF32, -1, -1));
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, cols(a->dtable)));
    GRAFT_TRY(check_flat("ids", a->ids, kI32, rows(a->dy)));
    GRAFT_TRY(check_rows("ids", a->ids, rows(a->dtable)));
    const int32_t* ids = data<const int32_t>(a->ids);
    GRAFT_BY_TYPE(a->dy, T, for_rows(context, cols(a->dy), rows(a->dy), [&](Range r) {
        for (int64_t t = 0; t < rows(a->dy); t++)
            GRAFT_DISPATCH(context, add_to, data<float>(a->dtable) + ids[t] * a->dtable.pitch + r.begin,
                           data<T>(a->dy) + t * a->dy.pitch + r.begin, r.end - r.begin);
    }));
    return nullptr;
}

graft_status* scatter_rows(graft_context* context, const graft_scatter_rows_args* a) {
    GRAFT_TRY(check_shape("dst", a->dst, kFloat, -1, -1));
    GRAFT_TRY(check_shape("src", a->src, same(a->dst), -1, cols(a->dst)));
    GRAFT_TRY(check_flat("rows", a->rows, kI32, rows(a->src)));
    GRAFT_TRY(check_rows("rows", a->rows, rows(a->dst)));
    const int32_t* to = data<const int32_t>(a->rows);
    const int64_t h = cols(a->src);
    GRAFT_BY_TYPE(a->dst, T, for_rows(context, rows(a->src), h, [&](Range r) {
        for (int64_t i = r.begin; i < r.end; i++)
            std::memcpy(data<T>(a->dst) + to[i] * a->dst.pitch, data<T>(a->src) + i * a->src.pitch, size_t(h) * sizeof(T));
    }));
    return nullptr;
}

}  // namespace graft::cpu

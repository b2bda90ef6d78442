// Rotary embedding (Su et al., arXiv 2104.09864) in the half-split form of the
// Hugging Face models: pairs (i, i + dim/2) of the first dim elements of a head.
#include "context.cuh"

namespace graft::cuda {
namespace {

template <class T> struct Table {
    Matrix<T> table;
    const int32_t* positions;
    const float* freq;
    float scale;
    __device__ void operator()(int64_t row, int64_t i) const {
        const float angle = float(positions[row]) * freq[i];
        store(table.row(row) + i, cosf(angle) * scale);
        store(table.row(row) + table.cols / 2 + i, sinf(angle) * scale);
    }
};

// Column p of the launch is element p % span of head p / span: a pair, or,
// past the pairs, an element that is only copied.
template <class T, class C> struct Rotate {
    Matrix<T> y;
    Matrix<const T> x;
    Matrix<const C> table;
    int64_t head_dim, span;
    float sign;
    __device__ void operator()(int64_t row, int64_t p) const {
        const int64_t half = table.cols / 2, i = p % span;
        const T* from = x.row(row) + p / span * head_dim;
        T* to = y.row(row) + p / span * head_dim;
        if (i >= half) {
            to[half + i] = from[half + i];
            return;
        }
        const float a = widen(from[i]), b = widen(from[half + i]);
        const float c = widen(table.row(row)[i]), s = widen(table.row(row)[half + i]) * sign;
        store(to + i, a * c - b * s);
        store(to + half + i, b * c + a * s);
    }
};

}  // namespace

graft_status* rope_table(graft_context* c, const graft_rope_table_args* a) {
    GRAFT_TRY(check_shape("table", a->table, kFloat, -1, -1));
    GRAFT_TRY(check_flat("positions", a->positions, kI32, rows(a->table)));
    if (cols(a->table) % 2) return error(GRAFT_INVALID_ARGUMENT, "table has an odd number of columns");
    GRAFT_TRY(check_flat("freq", a->freq, kF32, cols(a->table) / 2));
    GRAFT_BY_TYPE(a->table, T,
                  for_each<1>(c, Table<T>{view<T>(a->table), data<int32_t>(a->positions), data<float>(a->freq), a->scale},
                              rows(a->table), cols(a->table) / 2));
    return launched();
}

graft_status* rope(graft_context* c, const graft_rope_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, -1));
    GRAFT_TRY(check_shape("y", a->y, same(a->x), rows(a->x), cols(a->x)));
    GRAFT_TRY(check_shape("table", a->table, same(a->x) | kF32, rows(a->x), -1));
    const int64_t dim = cols(a->table), d = a->head_dim;
    if (d <= 0 || cols(a->x) % d || dim % 2 || dim > d || dim == 0)
        return error(GRAFT_INVALID_ARGUMENT, "rows of %lld, heads of %lld, table of %lld", (long long)cols(a->x),
                     (long long)d, (long long)dim);
    const int64_t span = a->x.data == a->y.data ? dim / 2 : d - dim / 2;
    const float sign = a->inverse ? -1.0f : 1.0f;
    GRAFT_BY_TYPE(a->x, T, GRAFT_BY_TYPE(a->table, C,
                  for_each<1>(c, Rotate<T, C>{view<T>(a->y), view<const T>(a->x), view<const C>(a->table), d, span, sign},
                              rows(a->x), cols(a->x) / d * span)));
    return launched();
}

}  // namespace graft::cuda

// dropout, of a tensor or of what it leaves over. Of an adapter's input it is a part of
// linear, with the same mask.
#include "dropout.cuh"

namespace graft::cuda {
namespace {

template <class T> struct Drop {
    Matrix<T> to;
    Matrix<const T> from;
    Mask mask;
    bool add;
    __device__ void operator()(int64_t row, int64_t col) const {
        float value = widen(from.row(row)[col]) * mask.factor(row * from.cols + col);
        if (add) value += widen(to.row(row)[col]);
        store(to.row(row) + col, value);
    }
};

}  // namespace

void drop(graft_context* c, const graft_tensor& to, const graft_tensor& from, const Mask& m, bool add) {
    GRAFT_BY_TYPE(from, T, for_each<1>(c, Drop<T>{view<T>(to), view<const T>(from), m, add}, rows(from), cols(from)));
}

graft_status* dropout(graft_context* c, const graft_dropout_args* a) {
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    GRAFT_TRY(check_shape("x", a->x, same(a->y), rows(a->y), cols(a->y)));
    GRAFT_TRY(check_flat("seed", a->drop.seed, kU32, 4));
    if (!(a->drop.p >= 0 && a->drop.p < 1)) return error(GRAFT_INVALID_ARGUMENT, "dropout of %g", double(a->drop.p));
    drop(c, a->y, a->x, mask(a->drop, a->rest != 0), a->accumulate != 0);
    return launched();
}

}  // namespace graft::cuda

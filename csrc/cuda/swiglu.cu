// SwiGLU (Shazeer, arXiv 2002.05202): y = silu(gate) * up, and both gradients.
#include "context.cuh"

namespace graft::cuda {
namespace {

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <class T, int V> struct Forward {
    Matrix<T> y;
    Matrix<const T> gate, up;
    __device__ void operator()(int64_t row, int64_t col) const {
        const Pack<T, V> g = load_pack<V>(gate.row(row) + col), u = load_pack<V>(up.row(row) + col);
        Pack<T, V> out;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float x = widen(g.at[i]);
            store(&out.at[i], x * sigmoid(x) * widen(u.at[i]));
        }
        store_pack(y.row(row) + col, out);
    }
};

template <class T, int V> struct Backward {
    Matrix<T> dgate, dup;
    Matrix<const T> dy, gate, up;
    __device__ void operator()(int64_t row, int64_t col) const {
        const Pack<T, V> d = load_pack<V>(dy.row(row) + col), g = load_pack<V>(gate.row(row) + col),
                         u = load_pack<V>(up.row(row) + col);
        Pack<T, V> dg, du;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            const float x = widen(g.at[i]), s = sigmoid(x), out = widen(d.at[i]);
            store(&dg.at[i], out * widen(u.at[i]) * s * (1.0f + x * (1.0f - s)));
            store(&du.at[i], out * x * s);
        }
        store_pack(dgate.row(row) + col, dg);
        store_pack(dup.row(row) + col, du);
    }
};

}  // namespace

graft_status* swiglu(graft_context* c, const graft_swiglu_args* a) {
    const int64_t n = rows(a->y), w = cols(a->y);
    GRAFT_TRY(check_shape("y", a->y, kFloat, -1, -1));
    GRAFT_TRY(check_shape("gate", a->gate, same(a->y), n, w));
    GRAFT_TRY(check_shape("up", a->up, same(a->y), n, w));
    const bool fast = packs(a->y, 8) && packs(a->gate, 8) && packs(a->up, 8);
    GRAFT_BY_TYPE(a->y, T, {
        if (fast) for_each<8>(c, Forward<T, 8>{view<T>(a->y), view<const T>(a->gate), view<const T>(a->up)}, n, w);
        else for_each<1>(c, Forward<T, 1>{view<T>(a->y), view<const T>(a->gate), view<const T>(a->up)}, n, w);
    });
    return launched();
}

graft_status* swiglu_backward(graft_context* c, const graft_swiglu_backward_args* a) {
    const int64_t n = rows(a->dy), w = cols(a->dy);
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, -1));
    GRAFT_TRY(check_shape("gate", a->gate, same(a->dy), n, w));
    GRAFT_TRY(check_shape("up", a->up, same(a->dy), n, w));
    GRAFT_TRY(check_shape("dgate", a->dgate, same(a->dy), n, w));
    GRAFT_TRY(check_shape("dup", a->dup, same(a->dy), n, w));
    const bool fast = packs(a->dy, 8) && packs(a->gate, 8) && packs(a->up, 8) && packs(a->dgate, 8) && packs(a->dup, 8);
    GRAFT_BY_TYPE(a->dy, T, {
        if (fast)
            for_each<8>(c, Backward<T, 8>{view<T>(a->dgate), view<T>(a->dup), view<const T>(a->dy), view<const T>(a->gate),
                                          view<const T>(a->up)}, n, w);
        else
            for_each<1>(c, Backward<T, 1>{view<T>(a->dgate), view<T>(a->dup), view<const T>(a->dy), view<const T>(a->gate),
                                          view<const T>(a->up)}, n, w);
    });
    return launched();
}

}  // namespace graft::cuda

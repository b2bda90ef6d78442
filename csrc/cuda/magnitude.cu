// magnitude and its backward pass: the columns of z take the length m instead of norm
// (DoRA, arXiv 2402.09353). norm counts as a constant (§4.3 there). With
// f = 1 + gate (m/norm - 1):
//     y = residual + f z + bias,  dz = f dy,  dm += gate dy z / norm over the rows
#include "column_sum.cuh"

namespace graft::cuda {
namespace {

template <class T, class B, int V> struct Scale {
    Matrix<T> y;
    Matrix<const T> z, residual;
    const float *m, *norm, *gate;
    const B* bias;
    __device__ void operator()(int64_t row, int64_t col) const {
        const Pack<T, V> in = load_pack<V>(z.row(row) + col);
        const float g = gate ? gate[row] : 1.0f;
        Pack<T, V> out;
        if (residual.data) out = load_pack<V>(residual.row(row) + col);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            float value = widen(in.at[i]) * ((1.0f - g) + g * (m[col + i] / norm[col + i]));
            if (residual.data) value += widen(out.at[i]);
            if (bias) value += widen(bias[col + i]);
            store(&out.at[i], value);
        }
        store_pack(y.row(row) + col, out);
    }
};

template <class T> struct MagnitudeTerm {
    Matrix<const T> dy, z;
    const float *norm, *gate;
    __device__ float operator()(int64_t row, int64_t col) const {
        return widen(dy.row(row)[col]) * widen(z.row(row)[col]) * (gate ? gate[row] : 1.0f) / norm[col];
    }
};

graft_status* check_magnitude(const graft_tensor& z, const graft_tensor& m, const graft_tensor& norm, const graft_tensor& gate) {
    GRAFT_TRY(check_flat("m", m, kF32, cols(z)));
    GRAFT_TRY(check_flat("norm", norm, kF32, cols(z)));
    return given(gate) ? check_flat("gate", gate, kF32, rows(z)) : nullptr;
}

void scale(graft_context* c, const graft_tensor& y, const graft_tensor& z, const graft_tensor& residual, const graft_tensor& m,
           const graft_tensor& norm, const graft_tensor& bias, const graft_tensor& gate) {
    const bool fast = packs(y, 8) && packs(z, 8) && packs(residual, 8);
    GRAFT_BY_TYPE(z, T, GRAFT_BY_TYPE(bias, B, {
        const float *of_m = data<float>(m), *of_norm = data<float>(norm), *of_gate = data<float>(gate);
        const B* of_bias = data<B>(bias);
        if (fast) for_each<8>(c, Scale<T, B, 8>{view<T>(y), view<const T>(z), view<const T>(residual), of_m, of_norm, of_gate, of_bias}, rows(z), cols(z));
        else for_each<1>(c, Scale<T, B, 1>{view<T>(y), view<const T>(z), view<const T>(residual), of_m, of_norm, of_gate, of_bias}, rows(z), cols(z));
    }));
}

}  // namespace

graft_status* magnitude(graft_context* c, const graft_magnitude_args* a) {
    GRAFT_TRY(check_shape("z", a->z, kFloat, -1, -1));
    const int64_t n = rows(a->z), out = cols(a->z);
    GRAFT_TRY(check_shape("y", a->y, same(a->z), n, out));
    GRAFT_TRY(check_optional("residual", a->residual, same(a->z), n, out));
    if (given(a->bias)) GRAFT_TRY(check_flat("bias", a->bias, same(a->z) | kF32, out));
    GRAFT_TRY(check_magnitude(a->z, a->m, a->norm, a->gate));
    scale(c, a->y, a->z, a->residual, a->m, a->norm, a->bias, a->gate);
    return launched();
}

graft_status* magnitude_backward(graft_context* c, const graft_magnitude_backward_args* a) {
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, -1));
    const int64_t n = rows(a->dy), out = cols(a->dy);
    GRAFT_TRY(check_optional("dz", a->dz, same(a->dy), n, out));
    GRAFT_TRY(check_magnitude(a->dy, a->m, a->norm, a->gate));
    if (given(a->dm)) {
        GRAFT_TRY(check_flat("dm", a->dm, kF32, out));
        GRAFT_TRY(check_shape("z", a->z, same(a->dy), n, out));
        GRAFT_BY_TYPE(a->dy, T,
                      GRAFT_TRY(add_column_sums(c, data<float>(a->dm),
                                                MagnitudeTerm<T>{view<const T>(a->dy), view<const T>(a->z), data<float>(a->norm),
                                                                 data<float>(a->gate)}, n, out)));
    }
    if (given(a->dz)) scale(c, a->dz, a->dy, {}, a->m, a->norm, {}, a->gate);
    return launched();
}

}  // namespace graft::cuda

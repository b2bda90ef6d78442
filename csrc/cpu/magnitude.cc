// magnitude and its backward pass: the columns of z take the length m instead
// of norm (DoRA, arXiv 2402.09353). norm counts as a constant (§4.3 there).
//
// With g = 1 + gate (m/norm − 1):  y = residual + g z + bias,
// dz = g dy,  dm = sum of gate dy z / norm.
#include "simd.h"

#define GRAFT_KERNELS "magnitude_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {
// What forward and backward have in common, beside activations like z [T, out].
graft_status* check_magnitude(const graft_tensor& z, const graft_tensor& m, const graft_tensor& norm, const graft_tensor& gate) {
    GRAFT_TRY(check_flat("m", m, kF32, cols(z)));
    GRAFT_TRY(check_flat("norm", norm, kF32, cols(z)));
    return given(gate) ? check_flat("gate", gate, kF32, rows(z)) : nullptr;
}
// Row t of a tensor that may be absent.
template <class T> T* row(const graft_tensor& x, int64_t t) { return given(x) ? data<T>(x) + t * x.pitch : nullptr; }
float gate_of(const graft_tensor& gate, int64_t t) { return given(gate) ? data<const float>(gate)[t] : 1.0f; }
}  // namespace

graft_status* magnitude(graft_context* context, const graft_magnitude_args* a) {
    GRAFT_TRY(check_shape("z", a->z, kFloat, -1, -1));
    const int64_t n = rows(a->z), out = cols(a->z);
    GRAFT_TRY(check_shape("y", a->y, same(a->z), n, out));
    GRAFT_TRY(check_optional("residual", a->residual, same(a->z), n, out));
    if (given(a->bias)) GRAFT_TRY(check_flat("bias", a->bias, same(a->z) | kF32, out));
    GRAFT_TRY(check_magnitude(a->z, a->m, a->norm, a->gate));
    GRAFT_BY_TYPE(a->z, T, GRAFT_BY_TYPE(a->bias, B, for_rows(context, n, out, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++)
            GRAFT_DISPATCH(context, magnitude_row, row<T>(a->y, t), row<const T>(a->z, t), row<const T>(a->residual, t),
                           data<const float>(a->m), data<const float>(a->norm), data<const B>(a->bias), gate_of(a->gate, t), out);
    })));
    return nullptr;
}

graft_status* magnitude_backward(graft_context* context, const graft_magnitude_backward_args* a) {
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, -1));
    const int64_t n = rows(a->dy), out = cols(a->dy);
    GRAFT_TRY(check_optional("dz", a->dz, same(a->dy), n, out));
    GRAFT_TRY(check_magnitude(a->dy, a->m, a->norm, a->gate));
    if (given(a->dm)) {  // threads share the columns and take the rows in order
        GRAFT_TRY(check_flat("dm", a->dm, kF32, out));
        GRAFT_TRY(check_shape("z", a->z, same(a->dy), n, out));
        const float* gate = given(a->gate) ? data<const float>(a->gate) : nullptr;
        GRAFT_BY_TYPE(a->dy, T, for_rows(context, out, n, [&](Range r) {
            GRAFT_DISPATCH(context, magnitude_dm, data<float>(a->dm) + r.begin, data<const T>(a->dy) + r.begin, a->dy.pitch,
                           data<const T>(a->z) + r.begin, a->z.pitch, data<const float>(a->norm) + r.begin, gate, n,
                           r.end - r.begin);
        }));
    }
    if (given(a->dz))
        GRAFT_BY_TYPE(a->dy, T, for_rows(context, n, out, [&](Range r) {
            for (int64_t t = r.begin; t < r.end; t++)
                GRAFT_DISPATCH(context, magnitude_row, row<T>(a->dz, t), row<const T>(a->dy, t), static_cast<const T*>(nullptr),
                               data<const float>(a->m), data<const float>(a->norm), static_cast<const float*>(nullptr),
                               gate_of(a->gate, t), out);
        }));
    return nullptr;
}

}  // namespace graft::cpu

// linear: y = x W^T + bias + sum of adapters, the adapters as tails of the product.
#include "linear.h"

#include <vector>

namespace graft::cpu {

graft_status* product(graft_context* context, const graft_tensor& c, const Operand& a, const Operand& b,
                      int64_t contraction, graft_dtype type, float alpha, float beta) {
    Gemm g;
    g.m = rows(c);
    g.n = cols(c);
    g.k = contraction;
    g.type = type;
    g.a = a;
    g.b = b;
    g.alpha = alpha;
    g.beta = beta;
    g.c = c.data;
    g.ldc = c.pitch;
    g.c_type = graft_dtype(c.dtype);
    return gemm(context, g);
}

void gate_rows(graft_context* context, const graft_tensor& xa, const graft_tensor& gate) {
    if (!given(gate)) return;
    GRAFT_BY_TYPE(xa, T, for_rows(context, rows(xa), cols(xa), [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++)
            for (int64_t k = 0; k < cols(xa); k++) {
                T* x = data<T>(xa) + t * xa.pitch + k;
                put(x, widen(*x) * data<const float>(gate)[t]);
            }
    }));
}

graft_status* check_linear(const graft_tensor& x, int64_t tokens, graft_dtype type, const graft_weight& w,
                           const graft_low_rank* adapters, int64_t num_adapters) {
    GRAFT_TRY(check_optional("x", x, 1u << type, tokens, w.in));
    GRAFT_TRY(check_weight(w, type));
    int64_t rank = 0;
    for (const graft_low_rank* l = adapters; l < adapters + num_adapters; l++) {
        GRAFT_TRY(check_shape("A", l->a, kF32, -1, w.in));
        const int64_t r = rows(l->a);
        rank += r;
        GRAFT_TRY(check_shape("B", l->b, kF32, w.out, r));
        GRAFT_TRY(check_shape("xa", l->xa, 1u << type, tokens, r));
        GRAFT_TRY(check_optional("dA", l->da, kF32, r, w.in));
        GRAFT_TRY(check_optional("dB", l->db, kF32, w.out, r));
        if (l->drop.p > 0) GRAFT_TRY(check_flat("seed of dropout", l->drop.seed, kU32, 4));
        if (given(l->gate)) GRAFT_TRY(check_flat("gate", l->gate, kF32, tokens));
    }
    if (rank > kMaxRank)
        return error(GRAFT_UNIMPLEMENTED, "adapters of rank %lld together, expected at most %lld", static_cast<long long>(rank),
                     static_cast<long long>(kMaxRank));
    return nullptr;
}

graft_status* linear(graft_context* context, const graft_linear_args* args) {
    const graft_linear_args& l = *args;
    GRAFT_TRY(check_shape("y", l.y, kFloat, -1, l.w.out));
    const auto type = graft_dtype(l.y.dtype);
    const int64_t tokens = rows(l.y);
    GRAFT_TRY(check_shape("x", l.x, 1u << type, tokens, l.w.in));
    GRAFT_TRY(check_linear(l.x, tokens, type, l.w, l.adapters, l.num_adapters));
    if (given(l.bias)) GRAFT_TRY(check_flat("bias", l.bias, kF32 | 1u << type, l.w.out));

    std::vector<Tail> tails;
    for (const graft_low_rank* a = l.adapters; a < l.adapters + l.num_adapters; a++) {
        graft_tensor x = l.x;
        if (a->drop.p > 0) {
            Carver scratch(l.scratch.data, given(l.scratch) ? elements(l.scratch) : 0);
            x = matrix(scratch.bytes(tokens * l.w.in * size_of(type)), type, tokens, l.w.in);
            GRAFT_TRY(scratch.check("scratch"));
            drop(context, x, l.x, a->drop);
        }
        GRAFT_TRY(product(context, a->xa, Operand::of(x, kRows), Operand::of(a->a, kRows), l.w.in, type, a->scale, 0));
        gate_rows(context, a->xa, a->gate);
        tails.push_back({Operand::of(a->xa, kRows), Operand::of(a->b, kRows), rows(a->a)});
    }
    Gemm g;
    g.m = tokens;
    g.n = l.w.out;
    g.k = l.w.in;
    g.type = type;
    g.a = Operand::of(l.x, kRows);
    g.b = Operand::of(l.w, kRows);
    g.tails = tails.data();
    g.num_tails = int64_t(tails.size());
    g.bias = given(l.bias) ? &l.bias : nullptr;
    g.c = l.y.data;
    g.ldc = l.y.pitch;
    g.c_type = type;
    return gemm(context, g);
}

}  // namespace graft::cpu

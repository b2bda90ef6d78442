// linear_backward: with dS = gate * scale * dy B for each adapter,
//   dx = dy W + sum of drop'(dS A),  dA += dS^T drop(x),  dB += dy^T xa,  dW += dy^T x,  dbias += sum of dy.
#include <vector>

#include "linear.h"
#include "simd.h"

namespace graft::cpu {

namespace {

// Threads share the columns: each sum runs over the rows in order.
template <class T> void add_rows(graft_context* context, float* sum, const graft_tensor& dy) {
    for_rows(context, cols(dy), rows(dy), [&](Range r) {
        for (int64_t t = 0; t < rows(dy); t++)
            GRAFT_DISPATCH(context, add_to, sum + r.begin, data<const T>(dy) + t * dy.pitch + r.begin, r.end - r.begin);
    });
}

// dB += dy^T xa. The long side of dB is the vector side of the product, so that comes out transposed.
graft_status* add_db(graft_context* context, const graft_tensor& db, const graft_tensor& transposed, const graft_tensor& dy,
                     const graft_tensor& xa) {
    GRAFT_TRY(product(context, transposed, Operand::of(xa, kCols), Operand::of(dy, kCols), rows(dy), graft_dtype(dy.dtype), 1, 0));
    for (int64_t i = 0; i < rows(db); i++)
        for (int64_t j = 0; j < cols(db); j++)
            data<float>(db)[i * db.pitch + j] += data<float>(transposed)[j * transposed.pitch + i];
    return nullptr;
}

// dx = dy W with the tails of the adapters without dropout.
graft_status* input_gradient(graft_context* context, const graft_linear_backward_args& l,
                             const std::vector<Tail>& tails) {
    Gemm g;
    g.m = rows(l.dx);
    g.n = l.w.in;
    g.k = l.w.out;
    g.type = graft_dtype(l.dy.dtype);
    g.a = Operand::of(l.dy, kRows);
    g.b = Operand::of(l.w, kCols);
    g.tails = tails.data();
    g.num_tails = int64_t(tails.size());
    g.beta = l.accumulate ? 1 : 0;
    g.c = l.dx.data;
    g.ldc = l.dx.pitch;
    g.c_type = g.type;
    return gemm(context, g);
}

}  // namespace

graft_status* linear_backward(graft_context* context, const graft_linear_backward_args* args) {
    const graft_linear_backward_args& l = *args;
    GRAFT_TRY(check_shape("dy", l.dy, kFloat, -1, l.w.out));
    const auto type = graft_dtype(l.dy.dtype);
    const int64_t tokens = rows(l.dy);
    GRAFT_TRY(check_linear(l.x, tokens, type, l.w, l.adapters, l.num_adapters));
    GRAFT_TRY(check_optional("dx", l.dx, 1u << type, tokens, l.w.in));
    GRAFT_TRY(check_optional("dw", l.dw, kF32, l.w.out, l.w.in));
    bool needs_x = given(l.dw);
    for (int64_t i = 0; i < l.num_adapters; i++) needs_x = needs_x || given(l.adapters[i].da);
    if (needs_x && !given(l.x)) return error(GRAFT_INVALID_ARGUMENT, "x is absent, and the gradient of a weight needs it");

    Carver scratch(l.scratch.data, given(l.scratch) ? elements(l.scratch) : 0);
    std::vector<graft_tensor> ds(size_t(l.num_adapters), graft_tensor{});
    std::vector<Tail> tails;
    bool dropout = false;
    int64_t rank = 0;  // the largest whose dB is wanted
    for (int64_t i = 0; i < l.num_adapters; i++) {
        const graft_low_rank& a = l.adapters[i];
        dropout = dropout || a.drop.p > 0;
        if (given(a.db)) rank = std::max(rank, rows(a.a));
        if (!given(l.dx) && !given(a.da)) continue;
        const int64_t r = rows(a.a);
        ds[size_t(i)] = matrix(scratch.bytes(tokens * r * size_of(type)), type, tokens, r);
        if (a.drop.p <= 0) tails.push_back({Operand::of(ds[size_t(i)], kRows), Operand::of(a.a, kCols), r});
    }
    // One at a time: drop(x), and the gradient of it.
    graft_tensor dropped = {}, ddropped = {};
    if (dropout && needs_x) dropped = matrix(scratch.bytes(tokens * l.w.in * size_of(type)), type, tokens, l.w.in);
    if (dropout && given(l.dx)) ddropped = matrix(scratch.take<float>(tokens * l.w.in), GRAFT_F32, tokens, l.w.in);
    float* transposed = scratch.take<float>(rank * l.w.out);
    GRAFT_TRY(scratch.check("scratch"));

    for (int64_t i = 0; i < l.num_adapters; i++)
        if (given(ds[size_t(i)])) {
            const graft_low_rank& a = l.adapters[i];
            GRAFT_TRY(product(context, ds[size_t(i)], Operand::of(l.dy, kRows), Operand::of(a.b, kCols), l.w.out, type, a.scale, 0));
            gate_rows(context, ds[size_t(i)], a.gate);
        }
    if (given(l.dx)) GRAFT_TRY(input_gradient(context, l, tails));
    for (int64_t i = 0; i < l.num_adapters; i++) {
        const graft_low_rank& a = l.adapters[i];
        graft_tensor x = l.x;
        if (a.drop.p > 0 && given(l.dx)) {
            GRAFT_TRY(product(context, ddropped, Operand::of(ds[size_t(i)], kRows), Operand::of(a.a, kCols), rows(a.a), type, 1, 0));
            add_dropped(context, l.dx, ddropped, a.drop);
        }
        if (a.drop.p > 0 && given(a.da)) {
            drop(context, dropped, l.x, a.drop);
            x = dropped;
        }
        if (given(a.da))
            GRAFT_TRY(product(context, a.da, Operand::of(ds[size_t(i)], kCols), Operand::of(x, kCols), tokens, type, 1, 1));
        if (given(a.db))
            GRAFT_TRY(add_db(context, a.db, matrix(transposed, GRAFT_F32, rows(a.a), l.w.out), l.dy, a.xa));
    }
    if (given(l.dw))
        GRAFT_TRY(product(context, l.dw, Operand::of(l.dy, kCols), Operand::of(l.x, kCols), tokens, type, 1, 1));
    if (given(l.dbias)) {
        GRAFT_TRY(check_flat("dbias", l.dbias, kF32, l.w.out));
        if (type == GRAFT_BF16) add_rows<bf16>(context, data<float>(l.dbias), l.dy);
        else add_rows<float>(context, data<float>(l.dbias), l.dy);
    }
    return nullptr;
}

}  // namespace graft::cpu

// linear with low-rank adapters (LoRA, arXiv 2106.09685), forward and backward.
//
// The adapters of a layer are concatenated, so that each product has one
// low-rank tail, summed in the accumulators of the frozen product:
//     y  = x W^T + S B^T          S = gate * scale * drop(x) A^T, kept as xa
//     dx = dy W + dS A            dS = gate * scale * dy B
//     dA += dS^T drop(x)          dB += dy^T S
// S, dS and dB in bf16 are lora.cu's.
// With dropout dx takes a second pass, for the mask acts on dS A alone.
#include "column_sum.cuh"
#include "dropout.cuh"
#include "lora.cuh"
#include "nf4.cuh"
#include "weight.cuh"

namespace graft::cuda {
namespace {

int64_t size_of(int32_t type) { return type == GRAFT_BF16 ? 2 : 4; }
char* at(void* data, int64_t element, int32_t type) { return static_cast<char*>(data) + element * size_of(type); }

// Copies with a change of type into a part of a matrix.
template <class To, class From> struct Copy {
    To* to;
    int64_t pitch;
    Matrix<const From> from;
    __device__ void operator()(int64_t row, int64_t col) const { store(to + row * pitch + col, widen(from.row(row)[col])); }
};
void copy(graft_context* c, void* to, int64_t pitch, int32_t type, const graft_tensor& from) {
    if (type == GRAFT_BF16) {
        GRAFT_BY_TYPE(from, From, for_each<1>(c, Copy<bf16, From>{static_cast<bf16*>(to), pitch, view<const From>(from)}, rows(from), cols(from)));
    } else {
        for_each<1>(c, Copy<float, float>{static_cast<float*>(to), pitch, view<const float>(from)}, rows(from), cols(from));
    }
}

// The low-rank parts of a call in the type of the activations, adapters beside
// each other, in the caller's scratch.
struct Tail {
    int64_t rank = 0;
    void *a = nullptr, *b = nullptr, *s = nullptr;  // [rank,in], [out,rank], [T,rank]
    void* dropped = nullptr;                        // [T,in], if there is dropout
    int64_t pitch = 0;                              // of b and s
    void* saved = nullptr;                          // [T,rank]: S of the forward pass, where xa does not lie so
};

// Whether the xa of a call is all of S, without gaps.
bool is_whole(const graft_linear_args& l, int64_t rank) { return l.num_adapters == 1 && l.adapters[0].xa.pitch == rank; }

graft_status* carve(Tail* tail, const graft_linear_args& l, int32_t type, int64_t tokens, Carver* scratch) {
    bool drops = false, kept = true;
    for (int64_t i = 0; i < l.num_adapters; i++) {
        tail->rank += rows(l.adapters[i].a);
        drops |= l.adapters[i].drop.p > 0;
        kept &= given(l.adapters[i].xa);
    }
    if (tail->rank == 0) return nullptr;
    const int64_t size = size_of(type), r = tail->rank;
    tail->pitch = r;
    tail->s = scratch->take<char>(size * tokens * r);
    if (type == GRAFT_BF16 && kept && !is_whole(l, r)) tail->saved = scratch->take<char>(size * tokens * r);
    tail->a = scratch->take<char>(size * r * l.w.in);
    tail->b = scratch->take<char>(size * r * l.w.out);
    if (drops) tail->dropped = scratch->take<char>(size * tokens * l.w.in);
    return scratch->check("scratch");
}

graft_status* check_adapters(const graft_linear_args& l, int32_t type, int64_t tokens) {
    if (l.num_adapters < 0 || (l.num_adapters > 0 && !l.adapters)) return error(GRAFT_INVALID_ARGUMENT, "no adapters are given");
    for (int64_t i = 0; i < l.num_adapters; i++) {
        const graft_low_rank& p = l.adapters[i];
        GRAFT_TRY(check_shape("A", p.a, kF32, -1, l.w.in));
        GRAFT_TRY(check_shape("B", p.b, kF32, l.w.out, rows(p.a)));
        GRAFT_TRY(check_optional("xa", p.xa, 1u << type, tokens, rows(p.a)));
        if (p.drop.p < 0 || p.drop.p >= 1) return error(GRAFT_INVALID_ARGUMENT, "dropout of %g", double(p.drop.p));
        if (p.drop.p > 0) GRAFT_TRY(check_flat("seed", p.drop.seed, kU32, 4));
        if (given(p.gate)) GRAFT_TRY(check_flat("gate", p.gate, kF32, tokens));
    }
    return nullptr;
}

// A and B of all adapters beside each other.
void gather(graft_context* c, const graft_linear_args& l, const Tail& t, int32_t type) {
    int64_t first = 0;
    for (int64_t i = 0; i < l.num_adapters; i++) {
        copy(c, at(t.a, first * l.w.in, type), l.w.in, type, l.adapters[i].a);
        copy(c, at(t.b, first, type), t.pitch, type, l.adapters[i].b);
        first += rows(l.adapters[i].a);
    }
}

// The adapters as the kernels of lora.cu take them; none where these do not apply.
Stack stacked(const graft_linear_args& l, int32_t type, bool backward) {
    Stack stack;
    if (type != GRAFT_BF16 || l.num_adapters > kMaxStacked) return {};
    for (int64_t i = 0; i < l.num_adapters; i++) {
        const graft_low_rank& p = l.adapters[i];
        if (backward ? !given(p.xa) : p.drop.p > 0) return {};
        stack.at[i] = {stack.rank, int(rows(p.a)), p.scale, data<bf16>(p.xa), p.xa.pitch, data<float>(p.db), p.db.pitch, data<float>(p.gate)};
        stack.rank += int(rows(p.a));
    }
    stack.count = int(l.num_adapters);
    return stack;
}

// The rows of xa, or of its gradient, times the gate of an adapter that has one.
template <class T> struct Gate {
    Matrix<T> x;
    const float* gate;
    __device__ void operator()(int64_t row, int64_t col) const { store(x.row(row) + col, widen(x.row(row)[col]) * gate[row]); }
};
void gate_rows(graft_context* c, const graft_tensor& x, const graft_tensor& gate) {
    if (!given(gate)) return;
    GRAFT_BY_TYPE(x, T, for_each<1>(c, Gate<T>{view<T>(x), data<float>(gate)}, rows(x), cols(x)));
}

graft_tensor matrix(void* data, int32_t type, int64_t rows, int64_t cols) {
    return {data, type, 2, {rows, cols}, cols};
}

Gemm product(Layout layout, int32_t type, int64_t m, int64_t n, int64_t k, Operand a, Operand b) {
    Gemm g;
    g.layout = layout;
    g.type = type;
    g.m = m;
    g.n = n;
    g.k = k;
    g.a = a;
    g.b = b;
    return g;
}
void into(Gemm* g, const graft_tensor& t, bool accumulate) {
    g->c = t.data;
    g->c_type = t.dtype;
    g->c_pitch = t.pitch;
    g->accumulate = accumulate;
}

template <class T> struct Value {
    Matrix<const T> x;
    __device__ float operator()(int64_t row, int64_t col) const { return widen(x.row(row)[col]); }
};

}  // namespace

graft_status* linear(graft_context* c, const graft_linear_args* l) {
    const int32_t type = l->x.dtype;
    const int64_t tokens = rows(l->x), in = l->w.in, out = l->w.out;
    GRAFT_TRY(check_shape("x", l->x, kFloat, -1, in));
    GRAFT_TRY(check_shape("y", l->y, same(l->x), tokens, out));
    GRAFT_TRY(check_weight(l->w, type));
    if (given(l->bias)) GRAFT_TRY(check_flat("bias", l->bias, same(l->x) | kF32, out));
    GRAFT_TRY(check_adapters(*l, type, tokens));
    if (tokens == 0) return nullptr;

    const Operand x{l->x.data, l->x.pitch};
    Carver scratch(l->scratch), workspace(*c);
    Tail tail;
    GRAFT_TRY(carve(&tail, *l, type, tokens, &scratch));
    gather(c, *l, tail, type);
    for (int64_t i = 0; i < l->num_adapters; i++)
        GRAFT_TRY(check_shape("xa", l->adapters[i].xa, 1u << type, tokens, rows(l->adapters[i].a)));
    bool done = false;
    GRAFT_TRY(lora_down(c, {x, {tail.a, in}, static_cast<bf16*>(tail.s), tokens, in}, stacked(*l, type, false), workspace, &done));
    int64_t first = 0;
    for (int64_t i = 0; !done && i < l->num_adapters; i++) {
        const graft_low_rank& p = l->adapters[i];
        Operand input = x;
        if (p.drop.p > 0) {
            drop(c, matrix(tail.dropped, type, tokens, in), l->x, mask(p.drop), false);
            input = {tail.dropped, in};
        }
        Gemm g = product(Layout::NT, type, tokens, rows(p.a), in, input, {at(tail.a, first * in, type), in});
        g.alpha = p.scale;
        into(&g, p.xa, false);
        GRAFT_TRY(gemm(c, g, workspace));
        gate_rows(c, p.xa, p.gate);
        copy(c, at(tail.s, first, type), tail.pitch, type, p.xa);
        first += rows(p.a);
    }
    if (nf4_rows_takes(l->w, l->x))
        return nf4_rows(c, l->w, {l->y, l->x, l->bias, {tail.s, tail.pitch}, {tail.b, tail.pitch}, tail.rank});
    return for_pieces(c, l->w, type, true, workspace, [&](int64_t row, int64_t count, Operand w, Carver left) {
        Gemm g = product(Layout::NT, type, tokens, count, in, x, w);
        into(&g, l->y, false);
        g.c = at(l->y.data, row, type);
        g.rank = tail.rank;
        g.a2 = {tail.s, tail.pitch};
        g.b2 = {tail.rank ? at(tail.b, row * tail.pitch, type) : nullptr, tail.pitch};
        if (given(l->bias)) {
            g.bias = at(l->bias.data, row, l->bias.dtype);
            g.bias_type = l->bias.dtype;
        }
        return gemm(c, g, left);
    });
}

graft_status* linear_backward(graft_context* c, const graft_linear_backward_args* a) {
    const int32_t type = a->dy.dtype;
    const int64_t tokens = rows(a->dy), in = a->w.in, out = a->w.out;
    const graft_linear_args l{{}, a->x, a->w, {}, a->adapters, a->num_adapters, a->scratch};
    GRAFT_TRY(check_shape("dy", a->dy, kFloat, -1, out));
    GRAFT_TRY(check_optional("x", a->x, same(a->dy), tokens, in));
    GRAFT_TRY(check_optional("dx", a->dx, same(a->dy), tokens, in));
    GRAFT_TRY(check_optional("dw", a->dw, kF32, out, in));
    GRAFT_TRY(check_weight(a->w, type));
    GRAFT_TRY(check_adapters(l, type, tokens));
    if (given(a->dw) && !given(a->x)) return error(GRAFT_INVALID_ARGUMENT, "dw needs x");
    if (tokens == 0) return nullptr;

    const Operand x{a->x.data, a->x.pitch}, dy{a->dy.data, a->dy.pitch};
    Carver scratch(a->scratch), workspace(*c);
    Tail tail;
    GRAFT_TRY(carve(&tail, l, type, tokens, &scratch));
    gather(c, l, tail, type);
    if (given(a->dbias)) {
        GRAFT_TRY(check_flat("dbias", a->dbias, kF32, out));
        GRAFT_BY_TYPE(a->dy, T, GRAFT_TRY(add_column_sums(c, data<float>(a->dbias), Value<T>{view<const T>(a->dy)}, tokens, out)));
    }
    if (given(a->dw)) {
        Gemm g = product(Layout::TN, type, out, in, tokens, dy, x);
        into(&g, a->dw, true);
        GRAFT_TRY(gemm(c, g, workspace));
    }

    for (int64_t i = 0; i < a->num_adapters; i++) {
        const graft_low_rank& p = a->adapters[i];
        if (!given(p.db)) continue;
        GRAFT_TRY(check_shape("dB", p.db, kF32, out, rows(p.a)));
        GRAFT_TRY(check_shape("xa", p.xa, 1u << type, tokens, rows(p.a)));
    }
    bool done = false;
    if (const Stack stack = stacked(l, type, true); stack.rank > 0) {
        const graft_tensor& xa = a->adapters[0].xa;
        const bool whole = is_whole(l, stack.rank);
        for (int64_t i = 0; !whole && i < a->num_adapters; i++)
            copy(c, at(tail.saved, stack.at[i].first, type), tail.rank, type, a->adapters[i].xa);
        const bf16* s = static_cast<const bf16*>(whole ? xa.data : tail.saved);
        GRAFT_TRY(lora_backward(c, {dy, {tail.b, tail.pitch}, s, static_cast<bf16*>(tail.s), tokens, out}, stack, workspace, &done));
    }
    int64_t first = 0;
    bool drops = false;
    for (int64_t i = 0; i < a->num_adapters; i++) {
        const graft_low_rank& p = a->adapters[i];
        const int64_t r = rows(p.a);
        const graft_tensor ds{at(tail.s, first, type), type, 2, {tokens, r}, tail.pitch};
        Gemm g;
        if (!done) {
            g = product(Layout::NN, type, tokens, r, out, dy, {at(tail.b, first, type), tail.pitch});
            g.alpha = p.scale;
            into(&g, ds, false);
            GRAFT_TRY(gemm(c, g, workspace));
            gate_rows(c, ds, p.gate);
        }
        if (!done && given(p.db)) {
            g = product(Layout::TN, type, out, r, tokens, dy, {p.xa.data, p.xa.pitch});
            into(&g, p.db, true);
            GRAFT_TRY(gemm(c, g, workspace));
        }
        if (given(p.da)) {
            GRAFT_TRY(check_shape("dA", p.da, kF32, r, in));
            if (!given(a->x)) return error(GRAFT_INVALID_ARGUMENT, "dA needs x");
            Operand input = x;
            if (p.drop.p > 0) {
                drop(c, matrix(tail.dropped, type, tokens, in), a->x, mask(p.drop), false);
                input = {tail.dropped, in};
            }
            g = product(Layout::TN, type, r, in, tokens, {ds.data, ds.pitch}, input);
            into(&g, p.da, true);
            GRAFT_TRY(gemm(c, g, workspace));
        }
        drops |= p.drop.p > 0;
        first += r;
    }
    if (!given(a->dx)) return nullptr;

    GRAFT_TRY(for_pieces(c, a->w, type, false, workspace, [&](int64_t col, int64_t count, Operand w, Carver left) {
        Gemm g = product(Layout::NN, type, tokens, count, out, dy, w);
        into(&g, a->dx, a->accumulate != 0);
        g.c = at(a->dx.data, col, type);
        g.rank = drops ? 0 : tail.rank;
        g.a2 = {tail.s, tail.pitch};
        g.b2 = {tail.rank ? at(tail.a, col, type) : nullptr, in};
        return gemm(c, g, left);
    }));
    first = 0;
    for (int64_t i = 0; drops && i < a->num_adapters; i++) {
        const graft_low_rank& p = a->adapters[i];
        Gemm g = product(Layout::NN, type, tokens, in, rows(p.a), {at(tail.s, first, type), tail.pitch},
                         {at(tail.a, first * in, type), in});
        const graft_tensor through = p.drop.p > 0 ? matrix(tail.dropped, type, tokens, in) : a->dx;
        into(&g, through, p.drop.p == 0);
        GRAFT_TRY(gemm(c, g, workspace));
        if (p.drop.p > 0) drop(c, a->dx, through, mask(p.drop), true);
        first += rows(p.a);
    }
    return launched();
}

}  // namespace graft::cuda

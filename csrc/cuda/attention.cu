// Attention over a flat list of tokens, forward and backward, after
// FlashAttention (Dao et al., arXiv 2205.14135): scores exist a tile at a time,
// softmax is renormalised as tiles come, the backward pass recomputes them.
//
// bf16 runs on tensor cores (attention_mma.cu, attention_mma_backward.cu, and
// attention_decode.cu for generation), float32 in plain FMA (attention_f32.cu).
// The backward pass has one kernel that owns query rows and one that owns key
// rows, so nothing is added by two blocks and the order is fixed, at the price of
// computing the scores twice. The prefix is walked like keys that every query sees.
#include "attention.cuh"

#include <cstdlib>
#include <cstring>

namespace graft::cuda {
namespace {

// One warp a row and head.
template <class T>
__global__ void __launch_bounds__(kThreads) sum_delta(float* delta, Matrix<const T> d_o, Matrix<const T> o, int heads, int dim) {
    const int64_t at = int64_t(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
    if (at >= o.rows * heads) return;
    const T *a = d_o.row(at / heads) + at % heads * dim, *b = o.row(at / heads) + at % heads * dim;
    float sum = 0.0f;
    for (int d = threadIdx.x % 32; d < dim; d += 32) sum += widen(a[d]) * widen(b[d]);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) delta[at] = sum;
}

template <class T, class Args> Attention<T> problem(const Args* a) {
    return {view<const T>(a->q), view<const T>(a->k), view<const T>(a->v), view<const T>(a->prefix_k),
            view<const T>(a->prefix_v), data<int32_t>(a->cu), nullptr, int(elements(a->cu)) - 1, int(a->heads),
            int(a->kv_heads), int(a->dim), int(a->window), given(a->prefix_k) ? int(rows(a->prefix_k)) : 0, a->scale,
            a->soft_cap, a->causal != 0};
}

template <class Args> graft_status* check_inputs(const Args* a) {
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads || a->dim < 1)
        return error(GRAFT_INVALID_ARGUMENT, "%lld heads over %lld of %lld", (long long)a->heads, (long long)a->kv_heads,
                     (long long)a->dim);
    if (a->dim > 256) return error(GRAFT_UNIMPLEMENTED, "head dimension %lld: at most 256", (long long)a->dim);
    GRAFT_TRY(check_shape("q", a->q, kFloat, -1, a->heads * a->dim));
    GRAFT_TRY(check_shape("k", a->k, same(a->q), -1, a->kv_heads * a->dim));
    GRAFT_TRY(check_shape("v", a->v, same(a->q), rows(a->k), a->kv_heads * a->dim));
    GRAFT_TRY(check_optional("prefix_k", a->prefix_k, same(a->q), -1, a->kv_heads * a->dim));
    GRAFT_TRY(check_optional("prefix_v", a->prefix_v, same(a->q), rows(a->prefix_k), a->kv_heads * a->dim));
    if (given(a->prefix_k) != given(a->prefix_v)) return error(GRAFT_INVALID_ARGUMENT, "prefix_k and prefix_v go together");
    GRAFT_TRY(check_flat("cu", a->cu, kI32, -1));
    if (elements(a->cu) < (rows(a->q) > 0 ? 2 : 1))
        return error(GRAFT_INVALID_ARGUMENT, "cu has %lld boundaries", (long long)elements(a->cu));
    if (rows(a->q) > INT_MAX / 2 || rows(a->k) > INT_MAX / 2)  // places of tokens are 32 bits, offsets are not
        return error(GRAFT_UNIMPLEMENTED, "%lld queries over %lld keys", (long long)rows(a->q), (long long)rows(a->k));
    return nullptr;
}

// Whether GRAFT_CUDA_ATTENTION names a kernel of the forward pass: "wgmma" or "cudnn". Where
// neither is named, or it does not take the call, it is attention_mma, until a card has
// measured. A run must be resumed with the kernel that it began with, for the last bits.
bool asked(const char* kernel) {
    static const char* const named = std::getenv("GRAFT_CUDA_ATTENTION");
    return named && !std::strcmp(named, kernel);
}

}  // namespace

graft_status* attention(graft_context* c, const graft_attention_args* a) {
    GRAFT_TRY(check_inputs(a));
    GRAFT_TRY(check_shape("o", a->o, same(a->q), rows(a->q), a->heads * a->dim));
    GRAFT_TRY(check_flat("lse", a->lse, kF32, rows(a->q) * a->heads));
    if (given(a->keys)) GRAFT_TRY(check_flat("keys", a->keys, kI32, 2 * (elements(a->cu) - 1)));
    else if (rows(a->k) != rows(a->q)) return error(GRAFT_INVALID_ARGUMENT, "k has %lld rows, q %lld", (long long)rows(a->k), (long long)rows(a->q));
    if (rows(a->q) == 0) return nullptr;
    if (a->q.dtype == GRAFT_F32) {
        Attention<float> p = problem<float>(a);
        p.keys = data<int32_t>(a->keys);
        return attention_f32(c, p, a);
    }
    Attention<bf16> p = problem<bf16>(a);
    p.keys = data<int32_t>(a->keys);
    // Generation has about one query for each sequence of the cache.
    const bool few = p.keys && rows(a->q) <= 4 * int64_t(p.sequences) && a->heads / a->kv_heads <= 16;
    if (few) return attention_decode(c, p, a);
    if (asked("wgmma") && attention_wgmma_takes(c, p)) return attention_wgmma(c, p, a);
    if (asked("cudnn")) {
        const char* refused = nullptr;
        GRAFT_TRY(attention_cudnn(c, p, a, &refused));
        if (!refused) return nullptr;
    }
    return attention_mma(c, p, a);
}

graft_status* attention_backward(graft_context* c, const graft_attention_backward_args* a) {
    GRAFT_TRY(check_inputs(a));
    const int64_t t = rows(a->q), wide = a->heads * a->dim, narrow = a->kv_heads * a->dim;
    GRAFT_TRY(check_shape("k", a->k, same(a->q), t, narrow));
    GRAFT_TRY(check_shape("do", a->d_o, same(a->q), t, wide));
    GRAFT_TRY(check_shape("o", a->o, same(a->q), t, wide));
    GRAFT_TRY(check_shape("dq", a->dq, same(a->q), t, wide));
    GRAFT_TRY(check_shape("dk", a->dk, same(a->q), t, narrow));
    GRAFT_TRY(check_shape("dv", a->dv, same(a->q), t, narrow));
    GRAFT_TRY(check_flat("lse", a->lse, kF32, t * a->heads));
    GRAFT_TRY(check_optional("dpk", a->dpk, kF32, rows(a->prefix_k), narrow));
    GRAFT_TRY(check_optional("dpv", a->dpv, kF32, rows(a->prefix_k), narrow));
    if (given(a->dpk) != given(a->dpv)) return error(GRAFT_INVALID_ARGUMENT, "dpk and dpv go together");
    if (t == 0) return nullptr;
    Carver scratch(a->scratch);
    float* delta = scratch.take<float>(t * a->heads);
    GRAFT_TRY(scratch.check("scratch"));
    const dim3 grid(unsigned(ceil_div(t * a->heads, kThreads / 32)));
    GRAFT_BY_TYPE(a->q, T, GRAFT_LAUNCH((sum_delta<T>), grid, dim3(kThreads), 0, c->stream, delta, view<const T>(a->d_o),
                                        view<const T>(a->o), int(a->heads), int(a->dim)));
    return a->q.dtype == GRAFT_F32 ? attention_f32_backward(c, problem<float>(a), a, delta)
                                   : attention_mma_backward(c, problem<bf16>(a), a, delta);
}

}  // namespace graft::cuda

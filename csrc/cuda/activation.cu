// activation and its backward pass: GELU (Hendrycks and Gimpel, arXiv 1606.08415)
// exactly and by tanh, tanh, ReLU; one rounding, to the type of the result.
#include "context.cuh"

namespace graft::cuda {
namespace {

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// With v = 2 sqrt(2/pi) (x + 0.044715 x^3), tanh's GELU is x sigmoid(v).
__device__ inline float gelu_argument(float x) { return 1.59576912f * x * (1.0f + 0.044715f * x * x); }

template <int F> __device__ inline float value(float x) {
    if (F == GRAFT_GELU) return x * normcdff(x);
    if (F == GRAFT_GELU_TANH) return x * sigmoid(gelu_argument(x));
    if (F == GRAFT_TANH) return tanhf(x);
    return x < 0.0f ? 0.0f : x;
}

template <int F> __device__ inline float slope(float x) {
    if (F == GRAFT_GELU) return normcdff(x) + x * (0.39894228f * expf(-0.5f * x * x));
    if (F == GRAFT_GELU_TANH) {
        const float v = gelu_argument(x), s = sigmoid(v);
        return s + x * s * sigmoid(-v) * (1.59576912f * (1.0f + 0.134145f * x * x));
    }
    if (F == GRAFT_TANH) {  // 1 - tanh^2 without the cancellation
        const float e = expf(-2.0f * fabsf(x));
        return __fdividef(4.0f * e, (1.0f + e) * (1.0f + e));
    }
    return x > 0.0f ? 1.0f : 0.0f;
}

template <class T, int F, int V> struct Forward {
    T* y;
    const T* x;
    __device__ void operator()(int64_t, int64_t i) const {
        const Pack<T, V> in = load_pack<V>(x + i);
        Pack<T, V> out;
#pragma unroll
        for (int k = 0; k < V; ++k) store(&out.at[k], value<F>(widen(in.at[k])));
        store_pack(y + i, out);
    }
};
template <class T, int F, int V> struct Backward {
    T* dx;
    const T *x, *dy;
    __device__ void operator()(int64_t, int64_t i) const {
        const Pack<T, V> in = load_pack<V>(x + i), g = load_pack<V>(dy + i);
        Pack<T, V> out;
#pragma unroll
        for (int k = 0; k < V; ++k) store(&out.at[k], widen(g.at[k]) * slope<F>(widen(in.at[k])));
        store_pack(dx + i, out);
    }
};

// y = f(x), or dy f'(x) where dy is given.
template <class T, int F> void apply(graft_context* c, const graft_tensor& y, const graft_tensor& x, const graft_tensor& dy) {
    const int64_t n = elements(y);
    T* to = data<T>(y);
    const T *in = data<T>(x), *g = data<T>(dy);
    const bool fast = n % 8 == 0 && (reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(in) | reinterpret_cast<uintptr_t>(g)) % 16 == 0;
    if (g && fast) for_each<8>(c, Backward<T, F, 8>{to, in, g}, 1, n);
    else if (g) for_each<1>(c, Backward<T, F, 1>{to, in, g}, 1, n);
    else if (fast) for_each<8>(c, Forward<T, F, 8>{to, in}, 1, n);
    else for_each<1>(c, Forward<T, F, 1>{to, in}, 1, n);
}

graft_status* run(graft_context* c, int32_t f, const graft_tensor& y, const graft_tensor& x, const graft_tensor& dy) {
    GRAFT_TRY(check_flat("x", x, same(y), elements(y)));
    GRAFT_BY_TYPE(y, T, switch (f) {
        case GRAFT_GELU: apply<T, GRAFT_GELU>(c, y, x, dy); break;
        case GRAFT_GELU_TANH: apply<T, GRAFT_GELU_TANH>(c, y, x, dy); break;
        case GRAFT_TANH: apply<T, GRAFT_TANH>(c, y, x, dy); break;
        case GRAFT_RELU: apply<T, GRAFT_RELU>(c, y, x, dy); break;
        default: return error(GRAFT_INVALID_ARGUMENT, "activation function %d", f);
    });
    return launched();
}

}  // namespace

graft_status* activation(graft_context* c, const graft_activation_args* a) {
    GRAFT_TRY(check_flat("y", a->y, kFloat, -1));
    return run(c, a->f, a->y, a->x, {});
}

graft_status* activation_backward(graft_context* c, const graft_activation_backward_args* a) {
    GRAFT_TRY(check_flat("dx", a->dx, kFloat, -1));
    GRAFT_TRY(check_flat("dy", a->dy, same(a->dx), elements(a->dx)));
    return run(c, a->f, a->dx, a->x, a->dy);
}

}  // namespace graft::cuda

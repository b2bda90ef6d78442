// Included by activation.cc for each instruction set.

// The normal distribution function, half of erfc(−x/√2): a Chebyshev fit (Press et al., Numerical Recipes, §6.2) that
// is relative to 1.2e-7 however small the result, where 1 + erf would cancel.
INLINE F normal_cdf(F x) {
    const F z = (x < 0.0f ? -x : x) * 0.70710678f;
    const F t = 1.0f / (1.0f + 0.5f * z);
    F p = splat(0.17087277f);
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    const F tail = 0.5f * t * exp(p - z * z);
    return x < 0.0f ? tail : 1.0f - tail;
}

// With v = 2 √(2/π) (x + 0.044715 x³), tanh's GELU is x σ(v).
INLINE F gelu_argument(F x) { return 1.59576912f * x * (1.0f + 0.044715f * x * x); }

template <int f> INLINE F activate(F x) {
    if (f == GRAFT_GELU) return x * normal_cdf(x);
    if (f == GRAFT_GELU_TANH) return x * sigmoid(gelu_argument(x));
    if (f == GRAFT_TANH) return tanh(x);
    return x < 0.0f ? splat(0) : x;
}

template <int f> INLINE F slope(F x) {
    if (f == GRAFT_GELU) return normal_cdf(x) + x * (0.39894228f * exp(-0.5f * x * x));
    if (f == GRAFT_GELU_TANH) {
        const F v = gelu_argument(x), s = sigmoid(v);
        return s + x * s * sigmoid(-v) * (1.59576912f * (1.0f + 0.134145f * x * x));
    }
    if (f == GRAFT_TANH) {  // 1 − tanh² without the cancellation
        const F e = exp(x < 0.0f ? x + x : -(x + x));
        return 4.0f * e / ((1.0f + e) * (1.0f + e));
    }
    return x > 0.0f ? splat(1) : splat(0);
}

template <int f, class T> FAST void activation_of(T* y, const T* x, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) store(y + i, activate<f>(load(x + i, n - i)), n - i);
}

template <int f, class T> FAST void activation_backward_of(T* dx, const T* dy, const T* x, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes)
        store(dx + i, load(dy + i, n - i) * slope<f>(load(x + i, n - i)), n - i);
}

template <class T> FAST void activation(int32_t f, T* y, const T* x, int64_t n) {
    switch (f) {
        case GRAFT_GELU: return activation_of<GRAFT_GELU>(y, x, n);
        case GRAFT_GELU_TANH: return activation_of<GRAFT_GELU_TANH>(y, x, n);
        case GRAFT_TANH: return activation_of<GRAFT_TANH>(y, x, n);
        default: return activation_of<GRAFT_RELU>(y, x, n);
    }
}

template <class T> FAST void activation_backward(int32_t f, T* dx, const T* dy, const T* x, int64_t n) {
    switch (f) {
        case GRAFT_GELU: return activation_backward_of<GRAFT_GELU>(dx, dy, x, n);
        case GRAFT_GELU_TANH: return activation_backward_of<GRAFT_GELU_TANH>(dx, dy, x, n);
        case GRAFT_TANH: return activation_backward_of<GRAFT_TANH>(dx, dy, x, n);
        default: return activation_backward_of<GRAFT_RELU>(dx, dy, x, n);
    }
}

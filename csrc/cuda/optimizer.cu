// grad_norm, adamw and adamw8 over flat buffers, one launch each a buffer.
//
// AdamW is torch.optim.AdamW (Loshchilov and Hutter, arXiv 1711.05101), with moments in
// float32 or in eight bits (Dettmers and others, arXiv 2110.02861), or with parameters in
// bf16 that are rounded at random (Zamirai and others, arXiv 2010.06192); the clip factor,
// the step count and whether to apply it at all are read on the device.
#include "context.cuh"
#include "dynamic.cuh"
#include "philox.cuh"

namespace graft::cuda {
namespace {

constexpr int kPartials = 1024;  // of the norm, whatever the device: its bits depend on n alone

__device__ inline bool is_finite(float x) { return fabsf(x) <= 3.402823466e38f; }

__device__ inline double block_sum_double(double value) {
    GRAFT_SHARED(double, shared, kThreads);
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = kThreads / 2; half > 0; half /= 2) {
        if (int(threadIdx.x) < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    return shared[0];
}

__global__ void __launch_bounds__(kThreads) square_partials(double* partial, const float* g, int64_t n) {
    double sum = 0.0;
    for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(kPartials) * kThreads)
        sum += double(g[i]) * double(g[i]);
    sum = block_sum_double(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) finish_norm(float* norm, const double* partial, const float* loss, float max_norm) {
    double sum = 0.0;
    for (int i = threadIdx.x; i < kPartials; i += kThreads) sum += partial[i];
    sum = block_sum_double(sum);
    if (threadIdx.x != 0) return;
    const float length = float(sqrt(sum));
    const bool finite = is_finite(length) && (!loss || is_finite(loss[0]));
    const float clip = max_norm / (length + 1e-6f);
    norm[0] = length;
    norm[1] = max_norm > 0.0f && clip < 1.0f ? clip : 1.0f;
    norm[2] = finite ? 1.0f : 0.0f;
    norm[3] += norm[2];
}

struct Hyper {
    float beta1, beta2, eps, weight_decay, lr_scale;
};

// The factors of this step, computed once a block.
struct Step {
    float keep, rate, root, clip;
};
__device__ inline Step step_of(float* shared, const float* norm, const float* lr, const Hyper& h) {
    if (threadIdx.x == 0) {
        const double count = double(norm[3]), rate = double(lr[0]) * double(h.lr_scale);
        shared[0] = float(1.0 - rate * double(h.weight_decay));
        shared[1] = float(rate / (1.0 - pow(double(h.beta1), count)));
        shared[2] = float(1.0 / sqrt(1.0 - pow(double(h.beta2), count)));
    }
    __syncthreads();
    return {shared[0], shared[1], shared[2], norm[1]};
}
__device__ inline void step_one(float* p, float* m, float* v, float g, const Step& s, const Hyper& h) {
    const float grad = g * s.clip;
    *m = *m * h.beta1 + grad * (1.0f - h.beta1);
    *v = *v * h.beta2 + grad * grad * (1.0f - h.beta2);
    *p = *p * s.keep - s.rate * *m / (sqrtf(*v) * s.root + h.eps);
}

template <int V>
__global__ void __launch_bounds__(kThreads)
update(float* p, float* m, float* v, const float* g, const float* norm, const float* lr, Hyper h, int64_t n) {
    GRAFT_SHARED(float, shared, 3);
    if (norm[2] == 0.0f) return;
    const Step s = step_of(shared, norm, lr, h);
    const int64_t stride = int64_t(gridDim.x) * kThreads * V;
    for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V; i < n; i += stride) {
        Pack<float, V> pp = load_pack<V>(p + i), mm = load_pack<V>(m + i), vv = load_pack<V>(v + i);
        const Pack<float, V> gg = load_pack<V>(g + i);
#pragma unroll
        for (int k = 0; k < V; ++k) step_one(&pp.at[k], &mm.at[k], &vv.at[k], gg.at[k], s, h);
        store_pack(p + i, pp);
        store_pack(m + i, mm);
        store_pack(v + i, vv);
    }
}

// adamw_bf16: every product and sum is rounded by itself, so the bits are the CPU's.
__device__ inline double power(double x, int64_t n) {
    double all = 1.0;
    for (; n > 0; n /= 2, x = __dmul_rn(x, x))
        if (n % 2) all = __dmul_rn(all, x);
    return all;
}
__device__ inline Step defined_step(float* shared, const float* norm, const float* lr, const Hyper& h) {
    if (threadIdx.x == 0) {
        const double rate = __dmul_rn(double(lr[0]), double(h.lr_scale));
        const int64_t count = int64_t(norm[3]);
        shared[0] = float(1.0 - __dmul_rn(rate, double(h.weight_decay)));
        shared[1] = float(rate / (1.0 - power(double(h.beta1), count)));
        shared[2] = float(1.0 / sqrt(1.0 - power(double(h.beta2), count)));
    }
    __syncthreads();
    return {shared[0], shared[1], shared[2], norm[1]};
}
// r: random, of which the high half decides whether p is rounded up.
__device__ inline void defined_one(bf16* p, float* m, float* v, float g, uint32_t r, const Step& s, const Hyper& h) {
    const float grad = __fmul_rn(g, s.clip);
    *m = __fadd_rn(__fmul_rn(*m, h.beta1), __fmul_rn(grad, 1.0f - h.beta1));
    *v = __fadd_rn(__fmul_rn(*v, h.beta2), __fmul_rn(__fmul_rn(grad, grad), 1.0f - h.beta2));
    const float change = __fmul_rn(s.rate, *m) / __fadd_rn(__fmul_rn(sqrtf(*v), s.root), h.eps);
    const float now = __fsub_rn(__fmul_rn(widen(*p), s.keep), change);
    if (is_finite(now)) *p = __ushort_as_bfloat16(static_cast<unsigned short>((__float_as_uint(now) + (r >> 16)) >> 16));
    else store(p, now);
}

template <int V>
__global__ void __launch_bounds__(kThreads)
update_bf16(bf16* p, float* m, float* v, const float* g, const float* norm, const float* lr, const uint32_t* seed, Hyper h, int64_t n) {
    GRAFT_SHARED(float, shared, 3);
    if (norm[2] == 0.0f) return;
    const Step s = defined_step(shared, norm, lr, h);
    const uint32_t key0 = seed[0], key1 = seed[1], step = seed[2], batch = seed[3];
    const int64_t stride = int64_t(gridDim.x) * kThreads * V;
    for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V; i < n; i += stride) {
        Pack<bf16, V> pp = load_pack<V>(p + i);
        Pack<float, V> mm = load_pack<V>(m + i), vv = load_pack<V>(v + i);
        const Pack<float, V> gg = load_pack<V>(g + i);
        const Philox words = philox({uint32_t(i / 4), 0, step, batch}, key0, key1);
#pragma unroll
        for (int k = 0; k < V; ++k)
            defined_one(&pp.at[k], &mm.at[k], &vv.at[k], gg.at[k], words.at[V == 1 ? int(i % 4) : k], s, h);
        store_pack(p + i, pp);
        store_pack(m + i, mm);
        store_pack(v + i, vv);
    }
}

constexpr int kStateBlock = 256;  // moments that share a scale
static_assert(kStateBlock == kThreads, "a thread for each element of a block of state");

__device__ inline float block_max(float value) {
    GRAFT_SHARED(float, partial, kThreads / 32);
    value = warp_max(value);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    float most = 0.0f;
    for (int w = 0; w < kThreads / 32; ++w) most = fmaxf(most, partial[w]);
    __syncthreads();  // partial may be written again
    return most;
}

__global__ void __launch_bounds__(kThreads)
update8(float* p, uint8_t* m, uint8_t* v, float* m_scale, float* v_scale, const float* g, const float* norm, const float* lr,
        Hyper h, DynamicMap of_m, DynamicMap of_v, int64_t n) {
    GRAFT_SHARED(float, shared, 3);
    GRAFT_SHARED(float, m_map, 256);
    GRAFT_SHARED(float, v_map, 256);
    if (norm[2] == 0.0f) return;
    m_map[threadIdx.x] = of_m.at[threadIdx.x];
    v_map[threadIdx.x] = of_v.at[threadIdx.x];
    const Step s = step_of(shared, norm, lr, h);  // its barrier is also that of the maps
    for (int64_t block = blockIdx.x; block * kStateBlock < n; block += gridDim.x) {
        const int64_t i = block * kStateBlock + threadIdx.x;
        const bool inside = i < n;
        float first = 0.0f, second = 0.0f;
        if (inside) {
            float value = p[i];
            first = m_map[m[i]] * m_scale[block];
            second = v_map[v[i]] * v_scale[block];
            step_one(&value, &first, &second, g[i], s, h);
            p[i] = value;
        }
        const float most_m = block_max(fabsf(first)), most_v = block_max(second);
        if (inside) {
            m[i] = uint8_t(nearest_code<true>(m_map, first * (1.0f / fmaxf(most_m, 1e-38f))));
            v[i] = uint8_t(nearest_code<false>(v_map, second * (1.0f / fmaxf(most_v, 1e-38f))));
        }
        if (threadIdx.x == 0) {  // all threads have read the scales before the barriers of block_max
            m_scale[block] = most_m;
            v_scale[block] = most_v;
        }
    }
}

}  // namespace

graft_status* grad_norm(graft_context* c, const graft_grad_norm_args* a) {
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("g", a->g, kF32, -1));
    if (given(a->loss)) GRAFT_TRY(check_flat("loss", a->loss, kF32, -1));
    Carver workspace(*c);
    double* partial = workspace.take<double>(kPartials);
    GRAFT_TRY(workspace.check("workspace"));
    GRAFT_LAUNCH(square_partials, dim3(kPartials), dim3(kThreads), 0, c->stream, partial, data<float>(a->g), elements(a->g));
    GRAFT_LAUNCH(finish_norm, dim3(1), dim3(kThreads), 0, c->stream, data<float>(a->norm), partial, data<float>(a->loss),
                 a->max_norm);
    return launched();
}

graft_status* adamw(graft_context* c, const graft_adamw_args* a) {
    GRAFT_TRY(check_flat("p", a->p, kF32, -1));
    const int64_t n = elements(a->p);
    GRAFT_TRY(check_flat("m", a->m, kF32, n));
    GRAFT_TRY(check_flat("v", a->v, kF32, n));
    GRAFT_TRY(check_flat("g", a->g, kF32, n));
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("lr", a->lr, kF32, -1));
    if (n == 0) return nullptr;
    const Hyper h{a->beta1, a->beta2, a->eps, a->weight_decay, a->lr_scale};
    float *p = data<float>(a->p), *m = data<float>(a->m), *v = data<float>(a->v);
    const float *g = data<float>(a->g), *norm = data<float>(a->norm), *lr = data<float>(a->lr);
    const uintptr_t bits = reinterpret_cast<uintptr_t>(p) | reinterpret_cast<uintptr_t>(m) | reinterpret_cast<uintptr_t>(v) |
                           reinterpret_cast<uintptr_t>(g);
    if (n % 4 == 0 && bits % 16 == 0)
        GRAFT_LAUNCH((update<4>), dim3(blocks_for(ceil_div(n, kThreads * 4))), dim3(kThreads), 0, c->stream, p, m, v, g, norm,
                     lr, h, n);
    else
        GRAFT_LAUNCH((update<1>), dim3(blocks_for(ceil_div(n, kThreads))), dim3(kThreads), 0, c->stream, p, m, v, g, norm, lr,
                     h, n);
    return launched();
}

graft_status* adamw_bf16(graft_context* c, const graft_adamw_bf16_args* a) {
    GRAFT_TRY(check_flat("p", a->p, kBF16, -1));
    const int64_t n = elements(a->p);
    GRAFT_TRY(check_flat("m", a->m, kF32, n));
    GRAFT_TRY(check_flat("v", a->v, kF32, n));
    GRAFT_TRY(check_flat("g", a->g, kF32, n));
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("lr", a->lr, kF32, -1));
    GRAFT_TRY(check_flat("seed", a->seed, kU32, 4));
    if (n == 0) return nullptr;
    const Hyper h{a->beta1, a->beta2, a->eps, a->weight_decay, a->lr_scale};
    const bool fast = packs(a->p, 8) && packs(a->m, 4) && packs(a->v, 4) && packs(a->g, 4);
    auto launch = [&](auto kernel, int pack) {
        GRAFT_LAUNCH(kernel, dim3(blocks_for(ceil_div(n, kThreads * pack))), dim3(kThreads), 0, c->stream, data<bf16>(a->p),
                     data<float>(a->m), data<float>(a->v), data<float>(a->g), data<float>(a->norm), data<float>(a->lr),
                     data<uint32_t>(a->seed), h, n);
    };
    if (fast) launch(update_bf16<4>, 4);
    else launch(update_bf16<1>, 1);
    return launched();
}

graft_status* adamw8(graft_context* c, const graft_adamw8_args* a) {
    GRAFT_TRY(check_flat("p", a->p, kF32, -1));
    const int64_t n = elements(a->p), blocks = ceil_div(n, kStateBlock);
    GRAFT_TRY(check_flat("m", a->m, kU8, n));
    GRAFT_TRY(check_flat("v", a->v, kU8, n));
    GRAFT_TRY(check_flat("scale of m", a->m_scale, kF32, blocks));
    GRAFT_TRY(check_flat("scale of v", a->v_scale, kF32, blocks));
    GRAFT_TRY(check_flat("g", a->g, kF32, n));
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("lr", a->lr, kF32, -1));
    if (n == 0) return nullptr;
    GRAFT_LAUNCH(update8, dim3(blocks_for(blocks)), dim3(kThreads), 0, c->stream, data<float>(a->p), data<uint8_t>(a->m),
                 data<uint8_t>(a->v), data<float>(a->m_scale), data<float>(a->v_scale), data<float>(a->g), data<float>(a->norm),
                 data<float>(a->lr), Hyper{a->beta1, a->beta2, a->eps, a->weight_decay, a->lr_scale}, signed_map(), unsigned_map(), n);
    return launched();
}

}  // namespace graft::cuda

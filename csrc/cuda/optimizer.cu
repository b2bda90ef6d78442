// grad_norm and adamw over flat buffers, one launch each a buffer.
//
// AdamW is torch.optim.AdamW (Loshchilov and Hutter, arXiv 1711.05101); the clip
// factor, the step count and whether to apply it at all are read on the device.
#include "context.cuh"

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

template <int V>
__global__ void __launch_bounds__(kThreads)
update(float* p, float* m, float* v, const float* g, const float* norm, const float* lr, Hyper h, int64_t n) {
    GRAFT_SHARED(float, step, 3);
    if (norm[2] == 0.0f) return;
    if (threadIdx.x == 0) {
        const double count = double(norm[3]), rate = double(lr[0]) * double(h.lr_scale);
        step[0] = float(1.0 - rate * double(h.weight_decay));
        step[1] = float(rate / (1.0 - pow(double(h.beta1), count)));
        step[2] = float(1.0 / sqrt(1.0 - pow(double(h.beta2), count)));
    }
    __syncthreads();
    const float keep = step[0], rate = step[1], root = step[2], clip = norm[1];
    const float one1 = 1.0f - h.beta1, one2 = 1.0f - h.beta2;
    const int64_t stride = int64_t(gridDim.x) * kThreads * V;
    for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V; i < n; i += stride) {
        Pack<float, V> pp = load_pack<V>(p + i), mm = load_pack<V>(m + i), vv = load_pack<V>(v + i);
        const Pack<float, V> gg = load_pack<V>(g + i);
#pragma unroll
        for (int k = 0; k < V; ++k) {
            const float grad = gg.at[k] * clip;
            mm.at[k] = mm.at[k] * h.beta1 + grad * one1;
            vv.at[k] = vv.at[k] * h.beta2 + grad * grad * one2;
            pp.at[k] = pp.at[k] * keep - rate * mm.at[k] / (sqrtf(vv.at[k]) * root + h.eps);
        }
        store_pack(p + i, pp);
        store_pack(m + i, mm);
        store_pack(v + i, vv);
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

}  // namespace graft::cuda

// grad_norm and adamw (Loshchilov and Hutter, arXiv 1711.05101, in the form of
// torch.optim.AdamW), the latter with moments in float32 or in eight bits
// (Dettmers and others, arXiv 2110.02861), or with parameters in bf16 that are
// rounded at random (Zamirai and others, arXiv 2010.06192).
#include <cmath>

#include "dynamic.h"
#include "philox.h"
#include "simd.h"

namespace graft::cpu {
// The factors of one update.
struct AdamWStep {
    float keep, beta1, beta2, rate, root, eps, clip;
};
constexpr int64_t kStateBlock = 256;  // moments that share a scale
}  // namespace graft::cpu

#define GRAFT_KERNELS "optimizer_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {
constexpr int64_t kBlocks = 4096;  // at most, so that the partial sums fit any workspace
}

// Blocks depend on the length alone; each is summed in double precision, and
// their sums are added in order.
graft_status* grad_norm(graft_context* context, const graft_grad_norm_args* a) {
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("g", a->g, kF32, -1));
    GRAFT_TRY(check_shape("loss", a->loss, kF32, -1, -1));
    const int64_t n = elements(a->g), size = std::max<int64_t>(16384, (n + kBlocks - 1) / kBlocks);
    const int64_t blocks = (n + size - 1) / size;
    Carver carver(*context);
    double* partial = carver.take<double>(blocks);
    GRAFT_TRY(carver.check("workspace"));
    for_rows(context, blocks, size, [&](Range r) {
        for (int64_t b = r.begin; b < r.end; b++)
            GRAFT_DISPATCH(context, sum_of_squares, partial + b, data<float>(a->g) + b * size, std::min(size, n - b * size));
    });
    double squares = 0;
    for (int64_t b = 0; b < blocks; b++) squares += partial[b];
    float* norm = data<float>(a->norm);
    norm[0] = float(std::sqrt(squares));
    norm[1] = a->max_norm > 0 ? std::min(1.0f, a->max_norm / (norm[0] + 1e-6f)) : 1.0f;
    norm[2] = std::isfinite(norm[0]) && std::isfinite(*data<float>(a->loss)) ? 1.0f : 0.0f;
    norm[3] += norm[2];
    return nullptr;
}

namespace {
template <class Args> AdamWStep step_of(const Args& a) {
    const float* norm = data<float>(a.norm);
    const double step = norm[3], lr = double(*data<float>(a.lr)) * a.lr_scale;
    return {float(1 - lr * a.weight_decay),
            a.beta1,
            a.beta2,
            float(lr / (1 - std::pow(double(a.beta1), step))),
            float(1 / std::sqrt(1 - std::pow(double(a.beta2), step))),
            a.eps,
            norm[1]};
}
}  // namespace

graft_status* adamw(graft_context* context, const graft_adamw_args* a) {
    GRAFT_TRY(check_flat("p", a->p, kF32, -1));
    const int64_t n = elements(a->p);
    GRAFT_TRY(check_flat("m", a->m, kF32, n));
    GRAFT_TRY(check_flat("v", a->v, kF32, n));
    GRAFT_TRY(check_flat("g", a->g, kF32, n));
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("lr", a->lr, kF32, -1));
    if (data<float>(a->norm)[2] == 0) return nullptr;
    const AdamWStep s = step_of(*a);
    for_rows(context, n, 4, [&](Range r) {
        GRAFT_DISPATCH(context, adamw, data<float>(a->p) + r.begin, data<float>(a->m) + r.begin, data<float>(a->v) + r.begin,
                       data<float>(a->g) + r.begin, r.end - r.begin, s);
    });
    return nullptr;
}

namespace {
// A product that no sum is fused with: the bits of adamw_bf16 are those of every device.
inline double times(double a, double b) {
    double product = a * b;
    asm("" : "+m"(product));
    return product;
}
double power(double x, int64_t n) {
    double all = 1;
    for (; n > 0; n /= 2, x = times(x, x))
        if (n % 2) all = times(all, x);
    return all;
}
}  // namespace

graft_status* adamw_bf16(graft_context* context, const graft_adamw_bf16_args* a) {
    GRAFT_TRY(check_flat("p", a->p, kBF16, -1));
    const int64_t n = elements(a->p);
    GRAFT_TRY(check_flat("m", a->m, kF32, n));
    GRAFT_TRY(check_flat("v", a->v, kF32, n));
    GRAFT_TRY(check_flat("g", a->g, kF32, n));
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("lr", a->lr, kF32, -1));
    GRAFT_TRY(check_flat("seed", a->seed, kU32, 4));
    const float* norm = data<float>(a->norm);
    if (norm[2] == 0) return nullptr;
    const double lr = times(double(*data<float>(a->lr)), a->lr_scale);
    const auto steps = int64_t(norm[3]);
    const AdamWStep s = {float(1 - times(lr, a->weight_decay)), a->beta1, a->beta2, float(lr / (1 - power(a->beta1, steps))),
                         float(1 / std::sqrt(1 - power(a->beta2, steps))), a->eps, norm[1]};
    for_rows(context, n, 16, [&](Range r) {
        GRAFT_DISPATCH(context, adamw_bf16, data<bf16>(a->p), data<float>(a->m), data<float>(a->v), data<float>(a->g), r, s,
                       data<uint32_t>(a->seed));
    });
    return nullptr;
}

graft_status* adamw8(graft_context* context, const graft_adamw8_args* a) {
    GRAFT_TRY(check_flat("p", a->p, kF32, -1));
    const int64_t n = elements(a->p), blocks = (n + kStateBlock - 1) / kStateBlock;
    GRAFT_TRY(check_flat("m", a->m, kU8, n));
    GRAFT_TRY(check_flat("v", a->v, kU8, n));
    GRAFT_TRY(check_flat("scale of m", a->m_scale, kF32, blocks));
    GRAFT_TRY(check_flat("scale of v", a->v_scale, kF32, blocks));
    GRAFT_TRY(check_flat("g", a->g, kF32, n));
    GRAFT_TRY(check_flat("norm", a->norm, kF32, 4));
    GRAFT_TRY(check_flat("lr", a->lr, kF32, -1));
    if (data<float>(a->norm)[2] == 0) return nullptr;
    const AdamWStep s = step_of(*a);
    for_rows(context, blocks, 16 * kStateBlock, [&](Range r) {
        for (int64_t b = r.begin; b < r.end; b++) {
            const int64_t i = b * kStateBlock;
            GRAFT_DISPATCH(context, adamw8, data<float>(a->p) + i, data<uint8_t>(a->m) + i, data<uint8_t>(a->v) + i,
                           data<float>(a->m_scale) + b, data<float>(a->v_scale) + b, data<float>(a->g) + i,
                           std::min(kStateBlock, n - i), s);
        }
    });
    return nullptr;
}

}  // namespace graft::cpu

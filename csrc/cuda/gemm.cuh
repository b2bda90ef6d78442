// The one seam for matrix products: what linear, its gradients and the output
// layer ask for. gemm.cu chooses the kernel.
#pragma once

#include "context.cuh"

namespace graft::cuda {

// How the operands lie: C[m,n] = sum over k of A·B, with
//   NT  A [m,k], B [n,k]      y  = x W^T
//   NN  A [m,k], B [k,n]      dx = dy W
//   TN  A [k,m], B [k,n]      dW = dy^T x
enum class Layout { NT, NN, TN };

// A row-major operand of the element type of the product.
struct Operand {
    const void* data = nullptr;
    int64_t pitch = 0;
};

// C = alpha * (A·B + A2·B2) + bias, or C += ... ; the second pair has `rank` in
// place of k and the layout of the first (the low-rank tail of an adapter). It is
// summed in the same accumulators.
struct Gemm {
    Layout layout = Layout::NT;
    int32_t type = GRAFT_F32;  // of A and B: f32 or bf16
    int64_t m = 0, n = 0, k = 0, rank = 0;
    Operand a, b, a2, b2;
    void* c = nullptr;
    int32_t c_type = GRAFT_F32;  // f32, or that of A and B
    int64_t c_pitch = 0;
    float alpha = 1.0f;
    bool accumulate = false;
    const void* bias = nullptr;  // [n]
    int32_t bias_type = GRAFT_F32;
};

// Long sums over few tiles are split, and their parts added in order; the parts
// are taken from what is left of the workspace.
graft_status* gemm(graft_context* c, const Gemm& g, Carver workspace);

// The kernels behind it.
void gemm_f32(graft_context* c, const Gemm& g, float* parts, int splits);
graft_status* gemm_mma(graft_context* c, const Gemm& g, float* parts, int splits);
// Whether the wgmma kernel takes this product: sm_90, NT, bf16, rows of whole 16 bytes.
bool gemm_wgmma_takes(const graft_context* c, const Gemm& g);
graft_status* gemm_wgmma(graft_context* c, const Gemm& g);
// cuBLASLt, opened at run time: taken is false where it is not there or refuses.
graft_status* gemm_cublaslt(graft_context* c, const Gemm& g, Carver workspace, bool* taken);

// ---- what the kernels share ---------------------------------------------------

struct Epilogue {
    void* c;
    int64_t pitch;
    float alpha;
    bool accumulate;
    const void* bias;
    bool bias_bf16;
    int64_t m, n;

    template <class Output> __device__ void operator()(int64_t row, int64_t col, float sum) const {
        if (row >= m || col >= n) return;
        Output* to = static_cast<Output*>(c) + row * pitch + col;
        float value = alpha * sum;
        if (bias) value += bias_bf16 ? widen(static_cast<const bf16*>(bias)[col]) : static_cast<const float*>(bias)[col];
        if (accumulate) value += widen(*to);
        store(to, value);
    }
};

// The epilogue of a product, or of its part number `split`, which is a plain store.
inline Epilogue epilogue(const Gemm& g, float* parts) {
    if (parts) return {parts, g.n, 1.0f, false, nullptr, false, g.m, g.n};
    return {g.c, g.c_pitch, g.alpha, g.accumulate, g.bias, g.bias_type == GRAFT_BF16, g.m, g.n};
}

}  // namespace graft::cuda

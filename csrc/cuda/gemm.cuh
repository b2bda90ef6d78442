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

// Which kernel computes a product: kOwn is gemm_mma for bf16 and gemm_f32 for f32.
enum class Kernel { kOwn, kWgmma, kCublasLt };
// From GRAFT_CUDA_GEMM ("own", "wgmma", "cublaslt") if that is set, else from the file
// that GRAFT_CUDA_GEMM_TABLE names, which `bench choose` writes from measurements, else
// by rule. It never depends on a measurement of this process, for kernels differ in
// their last bits and a resumed run must not.
Kernel choose(const graft_context* c, const Gemm& g);

// The kernels behind it.
void gemm_f32(graft_context* c, const Gemm& g, float* parts, int splits);
graft_status* gemm_mma(graft_context* c, const Gemm& g, float* parts, int splits);
// Whether the wgmma kernel takes this product: sm_90, NT or NN, bf16, rows of whole 16 bytes.
bool gemm_wgmma_takes(const graft_context* c, const Gemm& g);
graft_status* gemm_wgmma(graft_context* c, const Gemm& g);
// cuBLASLt, opened at run time: taken is false where it is not there or refuses. A
// low-rank tail that lies behind A and B (augmented K) is part of one product, another
// one a product before.
bool gemm_cublaslt_is_there();
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

// Two neighbours of a row. One store where nothing is read and the pair lies at a
// whole word.
template <class Output> __device__ inline void finish_pair(const Epilogue& out, int64_t row, int64_t col, float left, float right) {
    bf16* to = static_cast<bf16*>(out.c) + row * out.pitch + col;
    if (sizeof(Output) == 2 && !out.accumulate && !out.bias && row < out.m && col + 1 < out.n && reinterpret_cast<uintptr_t>(to) % 4 == 0) {
        *reinterpret_cast<uint32_t*>(to) = pack_bf16x2(out.alpha * left, out.alpha * right);
        return;
    }
    out.template operator()<Output>(row, col, left);
    out.template operator()<Output>(row, col + 1, right);
}

// The tile of a block of a one-dimensional grid. Blocks that run at the same time
// are to share tiles of both operands in L2, so they go down groups of 8 rows of tiles.
struct TileIndex {
    int64_t row, col;
};
__device__ inline TileIndex tile_of(int64_t block, int64_t rows, int64_t cols) {
    constexpr int64_t kGroup = 8;
    const int64_t first = block / (kGroup * cols) * kGroup, height = rows - first < kGroup ? rows - first : kGroup;
    const int64_t inside = block % (kGroup * cols);
    return {first + inside % height, inside / height};
}

// The epilogue of a product, or of its part number `split`, which is a plain store.
inline Epilogue epilogue(const Gemm& g, float* parts) {
    if (parts) return {parts, g.n, 1.0f, false, nullptr, false, g.m, g.n};
    return {g.c, g.c_pitch, g.alpha, g.accumulate, g.bias, g.bias_type == GRAFT_BF16, g.m, g.n};
}

}  // namespace graft::cuda

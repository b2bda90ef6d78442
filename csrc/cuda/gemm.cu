// Products: the kernel of gemm_choice.cu's choice, and the float32 kernel.
#include "gemm.cuh"

namespace graft::cuda {
namespace {

constexpr int kTile = 64, kStep = 16, kPad = kTile + 4;

// Reads element (i, l) of an operand whose contraction index is l.
struct Reader {
    const float* data;
    int64_t pitch, rows, depth;
    bool along_depth;  // rows of memory run along the contraction
    __device__ float operator()(int64_t i, int64_t l) const {
        if (i >= rows || l >= depth) return 0.0f;
        return along_depth ? data[i * pitch + l] : data[l * pitch + i];
    }
};

// A tile of 64 x 64 by 256 threads of 4 x 4; plain FMA, so that float32 is float32.
__global__ void __launch_bounds__(kThreads)
multiply(Reader a, Reader b, Reader a2, Reader b2, Epilogue out, int64_t depth_per_split) {
    GRAFT_SHARED(float, as, kStep * kPad);
    GRAFT_SHARED(float, bs, kStep * kPad);
    const int64_t row0 = int64_t(blockIdx.y) * kTile, col0 = int64_t(blockIdx.x) * kTile;
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    float sum[4][4] = {};
    for (int pass = 0; pass < 2; ++pass) {
        const Reader ra = pass ? a2 : a, rb = pass ? b2 : b;
        const int64_t first = pass ? 0 : int64_t(blockIdx.z) * depth_per_split;
        const int64_t last = pass ? ra.depth : (first + depth_per_split < ra.depth ? first + depth_per_split : ra.depth);
        for (int64_t l0 = first; l0 < last; l0 += kStep) {
            for (int i = threadIdx.x; i < kTile * kStep; i += kThreads) {
                const int ra_i = ra.along_depth ? i / kStep : i % kTile, ra_l = ra.along_depth ? i % kStep : i / kTile;
                const int rb_i = rb.along_depth ? i / kStep : i % kTile, rb_l = rb.along_depth ? i % kStep : i / kTile;
                as[ra_l * kPad + ra_i] = l0 + ra_l < last ? ra(row0 + ra_i, l0 + ra_l) : 0.0f;
                bs[rb_l * kPad + rb_i] = l0 + rb_l < last ? rb(col0 + rb_i, l0 + rb_l) : 0.0f;
            }
            __syncthreads();
#pragma unroll
            for (int l = 0; l < kStep; ++l)
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j) sum[i][j] += as[l * kPad + ty * 4 + i] * bs[l * kPad + tx * 4 + j];
            __syncthreads();  // the tiles may be written again
        }
    }
    Epilogue to = out;
    to.c = static_cast<float*>(out.c) + int64_t(blockIdx.z) * out.m * out.n * (gridDim.z > 1);
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) to.operator()<float>(row0 + ty * 4 + i, col0 + tx * 4 + j, sum[i][j]);
}

struct AddParts {
    Epilogue out;
    const float* parts;
    int splits;
    bool bf16_out;
    __device__ void operator()(int64_t row, int64_t col) const {
        float sum = 0.0f;
        for (int s = 0; s < splits; ++s) sum += parts[(int64_t(s) * out.m + row) * out.n + col];
        if (bf16_out) out.operator()<bf16>(row, col, sum);
        else out.operator()<float>(row, col, sum);
    }
};

// Parts of a long sum: enough blocks to fill a card, sums of 256 at least. It
// depends on shapes and the workspace only, so the bits are those of any card.
int split(const Gemm& g, int64_t workspace) {
    const int64_t tiles = ceil_div(g.m, 128) * ceil_div(g.n, 128);
    if (g.rank > 0 || tiles >= 64 || g.k < 1024) return 1;
    int64_t n = 128 / tiles;
    if (n > g.k / 256) n = g.k / 256;
    if (n > workspace / (4 * g.m * g.n)) n = workspace / (4 * g.m * g.n);
    return n < 2 ? 1 : int(n);
}

}  // namespace

void gemm_f32(graft_context* c, const Gemm& g, float* parts, int splits) {
    auto reader = [](const Operand& o, int64_t rows, int64_t depth, bool along) {
        return Reader{static_cast<const float*>(o.data), o.pitch, rows, depth, along};
    };
    const bool a_along = g.layout != Layout::TN, b_along = g.layout == Layout::NT;
    const int64_t depth = ceil_div(ceil_div(g.k, splits), kStep) * kStep;
    const dim3 grid(unsigned(ceil_div(g.n, kTile)), unsigned(ceil_div(g.m, kTile)), unsigned(splits));
    GRAFT_LAUNCH(multiply, grid, dim3(kThreads), 0, c->stream, reader(g.a, g.m, g.k, a_along), reader(g.b, g.n, g.k, b_along),
                 reader(g.a2, g.m, g.rank, a_along), reader(g.b2, g.n, g.rank, b_along), epilogue(g, parts), depth);
}

graft_status* gemm(graft_context* c, const Gemm& g, Carver workspace) {
    if (g.m <= 0 || g.n <= 0) return nullptr;
    const Kernel kernel = choose(c, g);
    if (kernel == Kernel::kWgmma) return gemm_wgmma(c, g);
    if (kernel == Kernel::kCublasLt) {
        bool taken = false;
        GRAFT_TRY(gemm_cublaslt(c, g, workspace, &taken));
        if (taken) return nullptr;
        if (gemm_wgmma_takes(c, g)) return gemm_wgmma(c, g);
    }
    const int splits = split(g, workspace.left());
    float* parts = splits > 1 ? workspace.take<float>(splits * g.m * g.n) : nullptr;
    if (g.type == GRAFT_F32) gemm_f32(c, g, parts, splits);
    else GRAFT_TRY(gemm_mma(c, g, parts, splits));
    if (parts)
        for_each<1>(c, AddParts{epilogue(g, nullptr), parts, splits, g.c_type == GRAFT_BF16}, g.m, g.n);
    return launched();
}

}  // namespace graft::cuda

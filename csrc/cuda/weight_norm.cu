// weight_norm: the length of each row of W + scale B A (DoRA, arXiv 2402.09353, §4.1).
// A block owns a few rows and each of its threads some columns, so that a column of A
// is read once for all of them; neither the sum of the matrices nor a decoded W exists.
#include "nf4.cuh"

namespace graft::cuda {
namespace {

constexpr int kRowsPerBlock = 4;

template <class T> struct DenseRows {
    Matrix<const T> w;
    __device__ float operator()(int64_t row, int64_t col, const float*) const { return widen(w.row(row)[col]); }
};
struct NF4Values {
    const uint8_t* codes;
    int64_t pitch, in;
    NF4Scales scales;
    // tables: the codes, the map of the scales, the offset.
    __device__ float operator()(int64_t row, int64_t col, const float* tables) const {
        const uint8_t byte = codes[row * pitch + col / 2];
        return __fmul_rn(tables[col % 2 ? byte & 15 : byte >> 4], scales((row * in + col) / kNF4Block, tables + 16, tables[272]));
    }
};

template <class Values>
__global__ void __launch_bounds__(kThreads)
row_lengths(float* norm, Values values, DynamicMap map, const float* offset, Matrix<const float> a, Matrix<const float> b, float scale) {
    GRAFT_SHARED(float, tables, 273);
    if (threadIdx.x < 16) tables[threadIdx.x] = kNF4Code[threadIdx.x];
    tables[16 + threadIdx.x] = map.at[threadIdx.x];
    if (threadIdx.x == 0) tables[272] = offset ? offset[0] : 0.0f;
    __syncthreads();
    const int64_t row0 = int64_t(blockIdx.x) * kRowsPerBlock;
    float squares[kRowsPerBlock] = {};
    for (int64_t col = threadIdx.x; col < a.cols; col += kThreads) {
        float value[kRowsPerBlock];
#pragma unroll
        for (int r = 0; r < kRowsPerBlock; ++r) value[r] = row0 + r < b.rows ? values(row0 + r, col, tables) : 0.0f;
        for (int64_t k = 0; k < a.rows; ++k) {
            const float down = a.row(k)[col];
#pragma unroll
            for (int r = 0; r < kRowsPerBlock; ++r)
                if (row0 + r < b.rows) value[r] += scale * b.row(row0 + r)[k] * down;
        }
#pragma unroll
        for (int r = 0; r < kRowsPerBlock; ++r) squares[r] += value[r] * value[r];
    }
#pragma unroll
    for (int r = 0; r < kRowsPerBlock; ++r) {
        const float sum = block_sum<kThreads>(squares[r]);
        if (threadIdx.x == 0 && row0 + r < b.rows) norm[row0 + r] = sqrtf(sum);
    }
}

template <class Values> void launch(graft_context* c, const graft_weight_norm_args* a, Values values) {
    GRAFT_LAUNCH((row_lengths<Values>), dim3(unsigned(ceil_div(a->w.out, kRowsPerBlock))), dim3(kThreads), 0, c->stream,
                 data<float>(a->norm), values, signed_map(), data<float>(a->w.offset), view<const float>(a->a),
                 view<const float>(a->b), a->scale);
}

}  // namespace

graft_status* weight_norm(graft_context* c, const graft_weight_norm_args* a) {
    const graft_weight& w = a->w;
    GRAFT_TRY(check_flat("norm", a->norm, kF32, w.out));
    GRAFT_TRY(check_weight(w, given(w.absmax) ? int32_t(GRAFT_F32) : w.data.dtype));
    GRAFT_TRY(check_shape("A", a->a, kF32, -1, w.in));
    GRAFT_TRY(check_shape("B", a->b, kF32, w.out, rows(a->a)));
    if (w.out == 0) return nullptr;
    if (given(w.absmax)) launch(c, a, NF4Values{data<const uint8_t>(w.data), w.data.pitch, w.in, nf4_scales(w)});
    else if (w.data.dtype == GRAFT_BF16) launch(c, a, DenseRows<bf16>{view<const bf16>(w.data)});
    else launch(c, a, DenseRows<float>{view<const float>(w.data)});
    return launched();
}

}  // namespace graft::cuda

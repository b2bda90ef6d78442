// NF4 weights (Dettmers et al., arXiv 2305.14314, appendix E) to f32 or bf16 in
// one launch, the nested scales included, for nf4_dequantize and ahead of products:
//     absmax = nested[block / 256] * map[absmax_code] + offset
//     value  = table[code] * absmax, rounded once
// Products and sums are rounded one by one, as bitsandbytes does them, so the
// result is the same to the bit. Both tables lie in shared memory; 16 words are
// 16 banks, so looking up codes never conflicts.
#include "nf4.cuh"

namespace graft::cuda {
namespace {

constexpr int kPerThread = 16;  // 8 bytes in, 32 bytes of bf16 out

template <class T>
__global__ void __launch_bounds__(kThreads)
dequantize(T* out, int64_t out_pitch, const uint8_t* packed, int64_t pitch, NF4Scales s, DynamicMap map, int64_t row0, int64_t rows, int64_t col0,
           int64_t cols, int64_t in) {
    GRAFT_SHARED(float, code, 16);
    GRAFT_SHARED(float, absmax_map, 256);
    if (threadIdx.x < 16) code[threadIdx.x] = kNF4Code[threadIdx.x];
    if (s.codes) absmax_map[threadIdx.x] = map.at[threadIdx.x];
    __syncthreads();
    const float offset = s.codes ? s.offset[0] : 0.0f;
    const int64_t packs = (cols + kPerThread - 1) / kPerThread;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y)
        for (int64_t p = int64_t(blockIdx.x) * kThreads + threadIdx.x; p < packs; p += int64_t(gridDim.x) * kThreads) {
            const int64_t col = p * kPerThread, first = (row0 + row) * in + col0 + col;
            const uint8_t* from = packed + (row0 + row) * pitch + (col0 + col) / 2;
            T* to = out + row * out_pitch + col;
            // A pack of one block, whose bytes and results lie at whole words.
            if (first % kPerThread == 0 && col + kPerThread <= cols && reinterpret_cast<uintptr_t>(to) % 16 == 0 &&
                reinterpret_cast<uintptr_t>(from) % 8 == 0) {
                const float absmax = s(first / kNF4Block, absmax_map, offset);
                const Pack<uint8_t, kPerThread / 2> bytes = load_pack<kPerThread / 2>(from);
                Pack<T, kPerThread> values;
#pragma unroll
                for (int i = 0; i < kPerThread / 2; ++i) {
                    const uint8_t byte = bytes.at[i];
                    store(&values.at[2 * i], __fmul_rn(code[byte >> 4], absmax));
                    store(&values.at[2 * i + 1], __fmul_rn(code[byte & 15], absmax));
                }
                store_pack(to, values);
                continue;
            }
            for (int i = 0; i < kPerThread && col + i < cols; ++i) {
                const uint8_t byte = packed[(row0 + row) * pitch + (col0 + col + i) / 2];
                const int nibble = (col0 + col + i) % 2 ? byte & 15 : byte >> 4;
                store(to + i, __fmul_rn(code[nibble], s((first + i) / kNF4Block, absmax_map, offset)));
            }
        }
}

template <class To, class From> struct CastPart {
    To* out;
    int64_t pitch;
    Matrix<const From> w;
    int64_t row0, col0;
    __device__ void operator()(int64_t row, int64_t col) const {
        store(out + row * pitch + col, widen(w.row(row0 + row)[col0 + col]));
    }
};

template <class T, class From> void cast_part(cudaStream_t stream, const graft_weight& w, int64_t row0, int64_t rows, int64_t col0, int64_t cols, void* dst, int64_t pitch) {
    for_each<1>(stream, CastPart<T, From>{static_cast<T*>(dst), pitch, view<const From>(w.data), row0, col0}, rows, cols);
}

}  // namespace

graft_status* check_weight(const graft_weight& w, int32_t type) {
    if (!given(w.absmax)) return check_shape("weight", w.data, 1u << type | kF32, w.out, w.in);
    if (w.in % 2) return error(GRAFT_UNIMPLEMENTED, "NF4 weight with rows of %lld elements: odd", (long long)w.in);
    const int64_t blocks = ceil_div(w.out * w.in, kNF4Block);
    GRAFT_TRY(check_shape("weight", w.data, kU8, w.out, w.in / 2));
    GRAFT_TRY(check_flat("absmax", w.absmax, kU8 | kF32, blocks));
    if (w.absmax.dtype == GRAFT_F32) return nullptr;
    GRAFT_TRY(check_flat("nested", w.nested, kF32, ceil_div(blocks, kNested)));
    return check_flat("offset", w.offset, kF32, 1);
}

bool is_ready(const graft_weight& w, int32_t type) { return !given(w.absmax) && w.data.dtype == type; }

graft_status* materialise(const graft_weight& w, int64_t row0, int64_t rows, int64_t col0, int64_t cols,
                          void* dst, int64_t pitch, int32_t type, cudaStream_t stream) {
    if (rows <= 0 || cols <= 0) return nullptr;
    if (!given(w.absmax)) {
        if (type == GRAFT_BF16) cast_part<bf16, float>(stream, w, row0, rows, col0, cols, dst, pitch);
        else return error(GRAFT_UNIMPLEMENTED, "weights are bf16 and activations f32");
        return launched();
    }
    const NF4Scales s = nf4_scales(w);
    const DynamicMap& map = signed_map();
    const dim3 grid(blocks_for(ceil_div(cols, kThreads * kPerThread)), unsigned(rows < 65535 ? rows : 65535));
    if (type == GRAFT_BF16)
        GRAFT_LAUNCH((dequantize<bf16>), grid, dim3(kThreads), 0, stream, static_cast<bf16*>(dst), pitch,
                     data<const uint8_t>(w.data), w.data.pitch, s, map, row0, rows, col0, cols, w.in);
    else
        GRAFT_LAUNCH((dequantize<float>), grid, dim3(kThreads), 0, stream, static_cast<float*>(dst), pitch,
                     data<const uint8_t>(w.data), w.data.pitch, s, map, row0, rows, col0, cols, w.in);
    return launched();
}

graft_status* nf4_dequantize(graft_context* c, const graft_nf4_dequantize_args* a) {
    if (!given(a->w.absmax)) return error(GRAFT_INVALID_ARGUMENT, "the weight is not in NF4");
    GRAFT_TRY(check_weight(a->w, a->y.dtype));
    GRAFT_TRY(check_shape("y", a->y, kFloat, a->w.out, a->w.in));
    return materialise(a->w, 0, a->w.out, 0, a->w.in, a->y.data, a->y.pitch, a->y.dtype, c->stream);
}

}  // namespace graft::cuda

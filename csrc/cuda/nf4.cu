// NF4 weights (Dettmers et al., arXiv 2305.14314, appendix E) to f32 or bf16 in
// one launch, the nested scales included:
//     absmax = nested[block / 256] * map[absmax_code] + offset
//     value  = table[code] * absmax, rounded once
// Products and sums are rounded one by one, as bitsandbytes does them, so the
// result is the same to the bit. Both tables lie in shared memory; 16 words are
// 16 banks, so looking up codes never conflicts.
#include "weight.cuh"

#include <algorithm>

namespace graft::cuda {
namespace {

constexpr int kBlock = 64;     // elements that share a scale
constexpr int kNested = 256;   // scales that share a scale
constexpr int kPerThread = 8;  // 4 bytes in, 16 bytes of bf16 out

__device__ constexpr float kCode[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// The signed dynamic map (Dettmers, arXiv 1511.04561): for e of 0..6 the means of
// 2^e equal cells of [0.1, 1] times 10^(e-6), both signs, and 0 and 1. Boundaries
// are rounded once, as torch.linspace does, and everything after in float32.
struct DynamicMap {
    float at[256];
    DynamicMap() {
        const float scales[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
        int n = 0;
        at[n++] = 0.0f;
        at[n++] = 1.0f;
        for (int e = 0; e < 7; ++e) {
            const int cells = 1 << e;
            const double step = (1.0f - 0.1f) / float(cells);
            const auto edge = [&](int k) {
                return float(k < (cells + 1) / 2 ? double(0.1f) + step * k : 1.0 - step * (cells - k));
            };
            for (int k = 0; k < cells; ++k) {
                const float mean = (edge(k) + edge(k + 1)) / 2.0f * scales[e];
                at[n++] = mean;
                at[n++] = -mean;
            }
        }
        std::sort(at, at + 256);
    }
};

struct Scales {
    const uint8_t* codes;  // doubly quantised, or
    const float* plain;
    const float* nested;
    const float* offset;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
dequantize(T* out, const uint8_t* packed, int64_t pitch, Scales s, DynamicMap map, int64_t row0, int64_t rows, int64_t col0,
           int64_t cols, int64_t in) {
    GRAFT_SHARED(float, code, 16);
    GRAFT_SHARED(float, absmax_map, 256);
    if (threadIdx.x < 16) code[threadIdx.x] = kCode[threadIdx.x];
    if (s.codes) absmax_map[threadIdx.x] = map.at[threadIdx.x];
    __syncthreads();
    const float offset = s.codes ? s.offset[0] : 0.0f;
    const int64_t packs = (cols + kPerThread - 1) / kPerThread;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y)
        for (int64_t p = int64_t(blockIdx.x) * kThreads + threadIdx.x; p < packs; p += int64_t(gridDim.x) * kThreads) {
            const int64_t col = p * kPerThread, first = (row0 + row) * in + col0 + col;
            const uint8_t* from = packed + (row0 + row) * pitch + (col0 + col) / 2;
            T* to = out + row * cols + col;
            auto scale = [&](int64_t block) {
                if (!s.codes) return s.plain[block];
                return __fadd_rn(__fmul_rn(absmax_map[s.codes[block]], s.nested[block / kNested]), offset);
            };
            // A pack of one block, whose bytes and results lie at whole words.
            if (first % kPerThread == 0 && col + kPerThread <= cols && cols % kPerThread == 0 &&
                reinterpret_cast<uintptr_t>(from) % 4 == 0) {
                const float absmax = scale(first / kBlock);
                const uint32_t bytes = *reinterpret_cast<const uint32_t*>(from);
                Pack<T, kPerThread> values;
#pragma unroll
                for (int i = 0; i < kPerThread / 2; ++i) {
                    const uint32_t byte = bytes >> (8 * i) & 0xff;
                    store(&values.at[2 * i], __fmul_rn(code[byte >> 4], absmax));
                    store(&values.at[2 * i + 1], __fmul_rn(code[byte & 15], absmax));
                }
                store_pack(to, values);
                continue;
            }
            for (int i = 0; i < kPerThread && col + i < cols; ++i) {
                const uint8_t byte = packed[(row0 + row) * pitch + (col0 + col + i) / 2];
                const int nibble = (col0 + col + i) % 2 ? byte & 15 : byte >> 4;
                store(to + i, __fmul_rn(code[nibble], scale((first + i) / kBlock)));
            }
        }
}

template <class To, class From> struct CastPart {
    To* out;
    Matrix<const From> w;
    int64_t row0, col0, cols;
    __device__ void operator()(int64_t row, int64_t col) const {
        store(out + row * cols + col, widen(w.row(row0 + row)[col0 + col]));
    }
};

template <class T, class From> void cast_part(graft_context* c, const graft_weight& w, int64_t row0, int64_t rows, int64_t col0, int64_t cols, void* dst) {
    for_each<1>(c, CastPart<T, From>{static_cast<T*>(dst), view<const From>(w.data), row0, col0, cols}, rows, cols);
}

}  // namespace

graft_status* check_weight(const graft_weight& w, int32_t type) {
    if (!given(w.absmax)) return check_shape("weight", w.data, 1u << type | kF32, w.out, w.in);
    if (w.in % 2) return error(GRAFT_UNIMPLEMENTED, "NF4 weight with rows of %lld elements: odd", (long long)w.in);
    const int64_t blocks = ceil_div(w.out * w.in, kBlock);
    GRAFT_TRY(check_shape("weight", w.data, kU8, w.out, w.in / 2));
    GRAFT_TRY(check_flat("absmax", w.absmax, kU8 | kF32, blocks));
    if (w.absmax.dtype == GRAFT_F32) return nullptr;
    GRAFT_TRY(check_flat("nested", w.nested, kF32, ceil_div(blocks, kNested)));
    return check_flat("offset", w.offset, kF32, 1);
}

bool is_ready(const graft_weight& w, int32_t type) { return !given(w.absmax) && w.data.dtype == type; }

graft_status* materialise(graft_context* c, const graft_weight& w, int64_t row0, int64_t rows, int64_t col0, int64_t cols,
                          void* dst, int32_t type) {
    if (rows <= 0 || cols <= 0) return nullptr;
    if (!given(w.absmax)) {
        if (type == GRAFT_BF16) cast_part<bf16, float>(c, w, row0, rows, col0, cols, dst);
        else return error(GRAFT_UNIMPLEMENTED, "weights are bf16 and activations f32");
        return launched();
    }
    static const DynamicMap map;
    const bool nested = w.absmax.dtype == GRAFT_U8;
    const Scales s{nested ? data<const uint8_t>(w.absmax) : nullptr, nested ? nullptr : data<const float>(w.absmax),
                   data<const float>(w.nested), data<const float>(w.offset)};
    const dim3 grid(blocks_for(ceil_div(cols, kThreads * kPerThread)), unsigned(rows < 65535 ? rows : 65535));
    if (type == GRAFT_BF16)
        GRAFT_LAUNCH((dequantize<bf16>), grid, dim3(kThreads), 0, c->stream, static_cast<bf16*>(dst),
                     data<const uint8_t>(w.data), w.data.pitch, s, map, row0, rows, col0, cols, w.in);
    else
        GRAFT_LAUNCH((dequantize<float>), grid, dim3(kThreads), 0, c->stream, static_cast<float*>(dst),
                     data<const uint8_t>(w.data), w.data.pitch, s, map, row0, rows, col0, cols, w.in);
    return launched();
}

}  // namespace graft::cuda

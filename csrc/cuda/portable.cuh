// One source for nvcc and for the host emulation (cuda/shim): qualifiers,
// launch, shared memory, element types.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#define GRAFT_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)
#define GRAFT_SHARED(type, name, count) __shared__ type name[count]
#define GRAFT_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

#else

#include "cuda_shim.h"

#endif

namespace graft::cuda {

using bf16 = __nv_bfloat16;

constexpr unsigned kFullMask = 0xffffffffu;

__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(bf16 x) { return __bfloat162float(x); }
__device__ inline void store(float* to, float value) { *to = value; }
__device__ inline void store(bf16* to, float value) { *to = __float2bfloat16_rn(value); }

// The value as the element type of the pointer would hold it.
__device__ inline float rounded(const float*, float value) { return value; }
__device__ inline float rounded(const bf16*, float value) { return __bfloat162float(__float2bfloat16_rn(value)); }

__device__ inline uint32_t pack_bf16x2(float low, float high) {
    return __bfloat16_as_ushort(__float2bfloat16_rn(low)) |
           static_cast<uint32_t>(__bfloat16_as_ushort(__float2bfloat16_rn(high))) << 16;
}

// V neighbours that are loaded and stored at once where V > 1.
template <class T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Pack {
    T at[V];
};
template <int V, class T> __device__ inline Pack<T, V> load_pack(const T* from) {
    return *reinterpret_cast<const Pack<T, V>*>(from);
}
template <int V, class T> __device__ inline void store_pack(T* to, const Pack<T, V>& pack) {
    *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

__device__ inline float warp_sum(float value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullMask, value, offset);
    return value;
}
__device__ inline float warp_max(float value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kFullMask, value, offset));
    return value;
}

// Sum over the block, returned to all threads; the tree is fixed.
template <int Threads> __device__ inline float block_sum(float value) {
    GRAFT_SHARED(float, partial, Threads / 32);
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < Threads / 32; ++w) sum += partial[w];
    __syncthreads();  // partial may be written again
    return sum;
}

}  // namespace graft::cuda

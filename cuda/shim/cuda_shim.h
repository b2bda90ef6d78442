// The part of the CUDA language and runtime that the kernels use, for an ordinary C++ compiler.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "scheduler.h"

#include "runtime.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
// Function-local statics: fenced by AddressSanitizer, but not refilled with poison per block;
// GRAFT_SHARED is the stricter form.
#define __shared__ static
#define __restrict__ __restrict

#define threadIdx (graft_shim::g_thread->index)
#define blockIdx (graft_shim::g_block->index)
#define blockDim (graft_shim::g_block->block_dim)
#define gridDim (graft_shim::g_block->grid_dim)

#define GRAFT_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  graft_shim::launch_kernel(#kernel, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
#define GRAFT_SHARED(type, name, count)                                                        \
  type(&name)[count] = *static_cast<type(*)[count]>(graft_shim::static_shared_allocation(      \
      [] { static char key; return &key; }(), sizeof(type[count]), alignof(type)))
#define GRAFT_DYNAMIC_SHARED(name) unsigned char* name = graft_shim::g_block->dynamic_shared.data

// ---- bf16 ---------------------------------------------------------------------------------

struct __nv_bfloat16 {
  uint16_t bits;
};

inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return {bits}; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }

inline float __bfloat162float(__nv_bfloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// Round to nearest, ties to even; NaN becomes the canonical 0x7fff, as the card's cvt does.
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}

inline float __fdividef(float a, float b) { return a / b; }
inline float normcdff(float x) { return 0.5f * std::erfc(-x * 0.70710678f); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

// ---- vector types -------------------------------------------------------------------------

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

// ---- synchronisation ----------------------------------------------------------------------

inline void __syncthreads(int line = __builtin_LINE()) {
  graft_shim::barrier_sync(0, 0, "__syncthreads", line);
}

inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
  bool& vote = graft_shim::g_block->votes[graft_shim::g_block->barriers_passed];
  if (predicate) vote = true;
  graft_shim::barrier_sync(0, 0, "__syncthreads_or", line);
  return vote;
}

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline uint32_t __umulhi(uint32_t a, uint32_t b) { return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32); }
inline uint32_t __float_as_uint(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

#include "warp_functions.h"

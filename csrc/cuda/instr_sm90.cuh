// Named wrappers of the sm_90a instructions: mbarrier, TMA tensor loads, wgmma.
// nvcc emits the PTX; the host emulation executes it, asynchrony included.
#pragma once

#include "instr.cuh"

#if defined(__CUDACC__)
#include <cuda.h>
#else
#include "hopper_instructions.h"
#endif

// wgmma and TMA are there on sm_90a and on the emulation, not on plain sm_90, nor wgmma on
// sm_100 and later; other architectures get empty kernels, which are never chosen.
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GRAFT_HAS_WGMMA 1
#else
#define GRAFT_HAS_WGMMA 0
#endif

namespace graft::cuda {

// ---- mbarrier -------------------------------------------------------------------------------

__device__ inline void mbarrier_init(uint64_t* barrier, int arrivals) {
#if defined(__CUDACC__)
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(shared_address(barrier)), "r"(arrivals) : "memory");
#else
  graft_shim::mbarrier_init(barrier, arrivals);
#endif
}

// Makes initialised barriers visible to TMA; a __syncthreads must follow for the other threads.
__device__ inline void mbarrier_init_fence() {
#if defined(__CUDACC__)
  asm volatile("fence.mbarrier_init.release.cluster;" : : : "memory");
#else
  graft_shim::mbarrier_init_fence();
#endif
}

__device__ inline void mbarrier_arrive(uint64_t* barrier) {
#if defined(__CUDACC__)
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }"
               : : "r"(shared_address(barrier)) : "memory");
#else
  graft_shim::mbarrier_arrive(barrier, 0);
#endif
}

// Arrives, and makes the phase wait for `bytes` more bytes of bulk copies.
__device__ inline void mbarrier_arrive_expect_tx(uint64_t* barrier, int bytes) {
#if defined(__CUDACC__)
  asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }"
               : : "r"(shared_address(barrier)), "r"(bytes) : "memory");
#else
  graft_shim::mbarrier_arrive(barrier, bytes);
#endif
}

// True once the phase of this parity has completed.  May suspend; call it in a loop.
__device__ inline bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity) {
#if defined(__CUDACC__)
  uint32_t done;
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
  return done != 0;
#else
  return graft_shim::mbarrier_try_wait(barrier, parity);
#endif
}

__device__ inline void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
  while (!mbarrier_try_wait(barrier, parity)) {
  }
}

// ---- TMA ------------------------------------------------------------------------------------

#if defined(__CUDACC__)
using TensorMap = CUtensorMap;
#else
using TensorMap = graft_shim::TensorMap;
#endif

constexpr int kSwizzleRowBytes = 128;

// Map of a row-major bf16 matrix whose rows are pitch elements apart, for loads of box_rows x box_cols with 128-byte swizzle.
// The row pitch must be a multiple of 16 bytes, box_cols 64 (one swizzle row), box_rows at most 256.
inline cudaError_t make_tensor_map(TensorMap* map, const bf16* matrix, int rows, int cols, int64_t pitch,
                                   int box_rows, int box_cols) {
#if defined(__CUDACC__)
  // The driver function is looked up at run time, so that nothing links against libcuda.
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                             cudaEnableDefault, &found);
  if (error != cudaSuccess) return error;
  if (found != cudaDriverEntryPointSuccess) return cudaErrorNotSupported;
  const cuuint64_t size[2] = {static_cast<cuuint64_t>(cols), static_cast<cuuint64_t>(rows)};
  const cuuint64_t row_bytes[1] = {static_cast<cuuint64_t>(pitch) * sizeof(bf16)};
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(box_cols), static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t stride[2] = {1, 1};
  const CUresult result = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<bf16*>(matrix), size, row_bytes, box, stride,
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
#else
  return graft_shim::encode_tensor_map(map, matrix, rows, cols, pitch, box_rows, box_cols);
#endif
}

// Issued by one thread: loads the map's box at (row, col) and completes its bytes on the barrier.
// Elements outside the matrix become zero; they count as bytes all the same.
__device__ inline void tma_load_2d(void* destination, const TensorMap* map, uint64_t* barrier, int row, int col) {
#if defined(__CUDACC__)
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];"
      : : "r"(shared_address(destination)), "l"(map), "r"(shared_address(barrier)), "r"(col), "r"(row) : "memory");
#else
  graft_shim::tma_load_2d(destination, map, barrier, row, col);
#endif
}

// ---- wgmma ----------------------------------------------------------------------------------

// Shared-memory matrix descriptor of a K-major operand with 128-byte swizzle: start address in
// bits 0-13, leading offset in 16-29 (unused here), stride between 8-row groups in 32-45, all in
// units of 16 bytes; swizzle mode 1 (128 bytes) in bits 62-63.
__device__ inline uint64_t wgmma_descriptor(const void* operand) {
  constexpr uint64_t kGroupBytes = 8 * kSwizzleRowBytes;
  return (static_cast<uint64_t>(shared_address(operand)) & 0x3ffff) >> 4 | uint64_t{1} << 16 |
         (kGroupBytes >> 4) << 32 | uint64_t{1} << 62;
}

// The same of an operand whose rows run across the contraction (MN-major): boxes of 64 columns,
// each of which holds all rows of a tile of the contraction. The leading offset is that of the
// next box, the stride that of the next 8 rows.
__device__ inline uint64_t wgmma_descriptor_across(const void* operand, uint64_t box_bytes) {
  constexpr uint64_t kGroupBytes = 8 * kSwizzleRowBytes;
  return (static_cast<uint64_t>(shared_address(operand)) & 0x3ffff) >> 4 | (box_bytes >> 4) << 16 |
         (kGroupBytes >> 4) << 32 | uint64_t{1} << 62;
}

__device__ inline void wgmma_fence() {
#if defined(__CUDACC__)
  asm volatile("wgmma.fence.sync.aligned;" : : : "memory");
#else
  graft_shim::wgmma_fence();
#endif
}

__device__ inline void wgmma_commit() {
#if defined(__CUDACC__)
  asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory");
#else
  graft_shim::wgmma_commit();
#endif
}

template <int Pending>
__device__ inline void wgmma_wait() {
#if defined(__CUDACC__)
  asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(Pending) : "memory");
#else
  graft_shim::wgmma_wait(Pending);
#endif
}

// d[64xN] += a[64x16] b[Nx16]^T by a warpgroup, or with Across a b[16xN].  Warp w of it holds rows 16w to 16w+15;
// d[4j+e] is row 16w + lane/4 + 8(e/2), column 8j + 2(lane%4) + e%2.
#if defined(__CUDACC__)
#define GRAFT_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define GRAFT_D16(i) GRAFT_D4(i), GRAFT_D4(i + 4), GRAFT_D4(i + 8), GRAFT_D4(i + 12)
#endif
template <bool Across = false> __device__ inline void wgmma_m64k16(float (&d)[64], uint64_t a, uint64_t b) {
#if defined(__CUDACC__)
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, 1, 1, 1, 0, %66;"
      : GRAFT_D16(0), GRAFT_D16(16), GRAFT_D16(32), GRAFT_D16(48)
      : "l"(a), "l"(b), "n"(int(Across)));
#else
  graft_shim::wgmma<128>(d, a, b, Across);
#endif
}
template <bool Across = false> __device__ inline void wgmma_m64k16(float (&d)[128], uint64_t a, uint64_t b) {
#if defined(__CUDACC__)
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
      "%128, %129, 1, 1, 1, 0, %130;"
      : GRAFT_D16(0), GRAFT_D16(16), GRAFT_D16(32), GRAFT_D16(48), GRAFT_D16(64), GRAFT_D16(80), GRAFT_D16(96), GRAFT_D16(112)
      : "l"(a), "l"(b), "n"(int(Across)));
#else
  graft_shim::wgmma<256>(d, a, b, Across);
#endif
}
// d[64x128] += a[64x16] b[16x128] with a in registers, as mma_bf16 of instr.cuh holds it; they
// must keep their values until the wait.
__device__ inline void wgmma_m64k16_across(float (&d)[64], const uint32_t (&a)[4], uint64_t b) {
#if defined(__CUDACC__)
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "{%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
      : GRAFT_D16(0), GRAFT_D16(16), GRAFT_D16(32), GRAFT_D16(48)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
#else
  graft_shim::wgmma<128>(d, 0, b, true, a);
#endif
}
#if defined(__CUDACC__)
#undef GRAFT_D16
#undef GRAFT_D4
#endif

// Registers per thread of the calling warpgroup; multiples of 8.
template <int Count>
__device__ inline void set_registers_down() {
#if defined(__CUDACC__)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(Count));
#endif
}

template <int Count>
__device__ inline void set_registers_up() {
#if defined(__CUDACC__)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(Count));
#endif
}

}  // namespace graft::cuda

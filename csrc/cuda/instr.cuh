// Named wrappers of the sm_80 tensor-core and asynchronous-copy instructions.
// nvcc emits the PTX; the host emulation executes the same instruction on 32 lanes.
// Fragment layouts are those of the PTX ISA (mma.m16n8k16, ldmatrix.m8n8).
#pragma once

#include "portable.cuh"

#if !defined(__CUDACC__)
#include "warp_instructions.h"
#endif

namespace graft::cuda {

#if defined(__CUDACC__)
__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
#else
using graft_shim::shared_address;
#endif

// Four 8x8 matrices of 16-bit elements.  Lane 8i+j passes the address of row j of matrix i;
// lane t receives elements (t/4, 2(t%4)) and (t/4, 2(t%4)+1) of matrix i in fragment[i].
__device__ inline void ldmatrix_x4(uint32_t (&fragment)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared_address(row))
               : "memory");
#else
  graft_shim::ldmatrix_x4(fragment, row, false);
#endif
}

// As ldmatrix_x4, each 8x8 matrix transposed: lane t receives (2(t%4), t/4), (2(t%4)+1, t/4).
__device__ inline void ldmatrix_x4_trans(uint32_t (&fragment)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared_address(row))
               : "memory");
#else
  graft_shim::ldmatrix_x4(fragment, row, true);
#endif
}

// d[16x8] += a[16x16] b[16x8]; a row-major, b column-major, fp32 accumulators.
__device__ inline void mma_m16n8k16_bf16_f32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  graft_shim::mma_m16n8k16(d, a, b0, b1);
#endif
}

// Copies source_bytes (0 to 16) to shared memory asynchronously and fills up to 16 with zeros.
__device__ inline void cp_async_16(void* destination, const void* source, int source_bytes = 16) {
#if defined(__CUDACC__)
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(destination)), "l"(source), "r"(source_bytes)
               : "memory");
#else
  graft_shim::cp_async_16(destination, source, source_bytes);
#endif
}

__device__ inline void cp_async_commit() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" : : : "memory");
#else
  graft_shim::cp_async_commit();
#endif
}

// Waits until at most `Pending` of this thread's newest groups are still in flight.
template <int Pending>
__device__ inline void cp_async_wait() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" : : "n"(Pending) : "memory");
#else
  graft_shim::cp_async_wait(Pending);
#endif
}

}  // namespace graft::cuda

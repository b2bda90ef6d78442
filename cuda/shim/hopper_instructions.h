// Emulation of the sm_90a instructions: mbarrier, TMA tensor loads, wgmma.
#pragma once

#include "warp_instructions.h"

namespace graft_shim {

// ---- mbarrier: packed into the 8 bytes that the program reserves for it ---------------------

struct MbarrierState {
  uint64_t phase : 1;
  uint64_t expected : 20;  // arrivals per phase
  uint64_t pending : 20;   // arrivals still missing in this phase
  int64_t bytes : 21;      // transaction bytes still missing; may go below zero in between
  uint64_t valid : 2;      // 2: initialised (poison reads as 3)
};
static_assert(sizeof(MbarrierState) == 8, "an mbarrier object has 8 bytes");

inline MbarrierState load_mbarrier(const uint64_t* barrier) {
  if (!is_aligned(barrier, 8)) fail("mbarrier: address is not 8-byte aligned");
  MbarrierState state;
  std::memcpy(&state, barrier, sizeof state);
  if (state.valid != 2) fail("mbarrier: used before its initialisation, or overwritten");
  return state;
}

inline void update_mbarrier(uint64_t* barrier, MbarrierState state) {
  const bool complete = state.pending == 0 && state.bytes == 0;
  if (complete) {
    state.phase = state.phase ^ 1u;
    state.pending = state.expected;
  }
  std::memcpy(barrier, &state, sizeof state);
  if (complete)
    for (Thread& thread : g_block->threads)
      if (thread.waiting_on == barrier) wake(thread);
}

inline void mbarrier_init(uint64_t* barrier, int arrivals) {
  InstructionScope scope;
  if (arrivals <= 0 || arrivals >= 1 << 20) fail("mbarrier.init: count %d is out of range", arrivals);
  MbarrierState state = {};
  state.expected = state.pending = static_cast<uint64_t>(arrivals) & 0xfffff;
  state.valid = 2;
  std::memcpy(barrier, &state, sizeof state);
  g_block->unfenced_barriers.push_back(barrier);
}

inline void mbarrier_init_fence() { g_block->unfenced_barriers.clear(); }

inline void mbarrier_arrive(uint64_t* barrier, int expect_bytes) {
  InstructionScope scope;
  MbarrierState state = load_mbarrier(barrier);
  if (state.pending == 0) fail("mbarrier.arrive: more arrivals than the phase expects");
  state.bytes = state.bytes + expect_bytes;
  state.pending = state.pending - 1;
  update_mbarrier(barrier, state);
}

inline bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity) {
  for (;;) {
    {
      InstructionScope scope;
      if (load_mbarrier(barrier).phase != (parity & 1)) return true;
    }
    block_thread(parity & 1 ? "mbarrier (parity 1)" : "mbarrier (parity 0)", barrier);
  }
}

// ---- TMA ------------------------------------------------------------------------------------

namespace types {  // apart from the functions, which argument-dependent lookup must not find
struct alignas(64) TensorMap {
  const __nv_bfloat16* matrix;
  int rows, cols;
  int64_t pitch;
  int box_rows, box_cols;
};
}  // namespace types
using types::TensorMap;

// 128-byte swizzle: bits 4-6 of the shared-memory address are xored with bits 7-9.
inline uint32_t swizzle_128b(uint32_t address) { return address ^ ((address >> 7 & 7) << 4); }

inline cudaError_t encode_tensor_map(TensorMap* map, const __nv_bfloat16* matrix, int rows, int cols,
                                     int64_t pitch, int box_rows, int box_cols) {
  const bool valid = is_aligned(matrix, 16) && rows > 0 && cols > 0 && pitch % 8 == 0 && pitch >= cols && box_rows > 0 &&
                     box_rows <= 256 && box_cols > 0 && box_cols % 8 == 0 && box_cols <= 64;
  if (!valid) return cudaErrorInvalidValue;
  *map = {matrix, rows, cols, pitch, box_rows, box_cols};
  return cudaSuccess;
}

inline void tma_load_2d(void* destination, const TensorMap* map, uint64_t* barrier, int row, int col) {
  InstructionScope scope;
  const uint32_t start = shared_address(destination);
  if (start % 1024) fail("TMA: destination of a 128-byte swizzle is not 1024-byte aligned");
  load_mbarrier(barrier);  // must be initialised at issue
  for (const uint64_t* unfenced : g_block->unfenced_barriers)
    if (unfenced == barrier) fail("TMA: no fence since the initialisation of its mbarrier");
  auto copy = [map = *map, start, barrier, row, col] {
    for (int r = 0; r < map.box_rows; ++r)
      for (int c = 0; c < map.box_cols; ++c) {
        const int y = row + r, x = col + c;
        const bool inside = y >= 0 && y < map.rows && x >= 0 && x < map.cols;
        const __nv_bfloat16 value = inside ? map.matrix[static_cast<int64_t>(y) * map.pitch + x] : __nv_bfloat16{0};
        const uint32_t offset = static_cast<uint32_t>(r * map.box_cols + c) * 2;
        std::memcpy(shared_pointer(swizzle_128b(start + offset)), &value, sizeof value);
      }
    MbarrierState state = load_mbarrier(barrier);
    state.bytes = state.bytes - map.box_rows * map.box_cols * 2;
    update_mbarrier(barrier, state);
  };
  if (config().copies == Timing::kImmediate) copy();
  else g_block->bulk_copies.push_back(copy);
}

// ---- wgmma ----------------------------------------------------------------------------------

inline Warp& current_warp() { return g_block->warps[static_cast<size_t>(g_thread->warp)]; }

struct MatrixDescriptor {
  uint32_t start, box_stride, group_stride;  // bytes; groups of 8 rows
};

inline MatrixDescriptor decode_descriptor(uint64_t descriptor) {
  if (descriptor >> 62 != 1) fail("wgmma: only the 128-byte swizzle is emulated");
  if (descriptor >> 49 & 7) fail("wgmma: base offset must be 0 for 1024-byte aligned operands");
  return {static_cast<uint32_t>(descriptor & 0x3fff) << 4, static_cast<uint32_t>(descriptor >> 16 & 0x3fff) << 4,
          static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4};
}

// Element (row, k) of a K-major operand.  The swizzle applies to the final address, so stepping
// along k inside the 128-byte row is an addition to the start address.
inline float operand_element(const MatrixDescriptor& matrix, int row, int k) {
  const uint32_t address = matrix.start + static_cast<uint32_t>(row / 8) * matrix.group_stride +
                           static_cast<uint32_t>(row % 8) * 128 + static_cast<uint32_t>(k) * 2;
  __nv_bfloat16 value;
  std::memcpy(&value, shared_pointer(swizzle_128b(address)), sizeof value);
  return __bfloat162float(value);
}

// Element (k, col) of an MN-major operand: boxes of 64 columns, groups of 8 rows of k in each.
inline float operand_element_across(const MatrixDescriptor& matrix, int k, int col) {
  const uint32_t address = matrix.start + static_cast<uint32_t>(col / 64) * matrix.box_stride +
                           static_cast<uint32_t>(k / 8) * matrix.group_stride + static_cast<uint32_t>(k % 8) * 128 +
                           static_cast<uint32_t>(col % 64) * 2;
  __nv_bfloat16 value;
  std::memcpy(&value, shared_pointer(swizzle_128b(address)), sizeof value);
  return __bfloat162float(value);
}

struct WgmmaArgs {
  float* d;
  uint64_t a, b;
  bool across;
  const uint32_t* registers;  // of a, in place of its descriptor; null: none
};

// Element (row, k) of the operand that the registers of a warp hold.
inline float register_element(const WgmmaArgs (&lanes)[kWarpSize], int row, int k) {
  const uint32_t pair = lanes[row % 8 * 4 + k % 8 / 2].registers[row / 8 + k / 8 * 2];
  return __bfloat162float({static_cast<uint16_t>(pair >> k % 2 * 16)});
}

// The quarter of the product that one warp holds: rows 16 * (warp % 4) onward.
template <int N>
void multiply_quarter(const WgmmaArgs (&lanes)[kWarpSize], int warp) {
  const MatrixDescriptor b = decode_descriptor(lanes[0].b);
  const MatrixDescriptor a = lanes[0].registers ? b : decode_descriptor(lanes[0].a);
  float rows[16][16], columns[N][16];
  for (int k = 0; k < 16; ++k) {
    for (int r = 0; r < 16; ++r)
      rows[r][k] = lanes[0].registers ? register_element(lanes, r, k) : operand_element(a, warp % 4 * 16 + r, k);
    for (int c = 0; c < N; ++c) columns[c][k] = lanes[0].across ? operand_element_across(b, k, c) : operand_element(b, c, k);
  }
  for (int lane = 0; lane < kWarpSize; ++lane)
    for (int i = 0; i < N / 2; ++i) {
      const float* row = rows[lane / 4 + i % 4 / 2 * 8];
      const float* column = columns[i / 4 * 8 + lane % 4 * 2 + i % 2];
      float sum = 0.0f;
      for (int k = 0; k < 16; ++k) sum += row[k] * column[k];
      lanes[lane].d[i] += sum;
    }
}

// Each warp issues and waits by itself, so that the warps of a warpgroup drift apart as far as
// the instruction set allows.
template <int N>
void wgmma(float* d, uint64_t a, uint64_t b, bool across, const uint32_t* registers = nullptr) {
  WgmmaArgs args{d, a, b, across, registers};
  warp_collective("wgmma.mma_async", kFullMask, &args, [](void* const* lanes, unsigned) {
    struct Operation {
      WgmmaArgs lanes[kWarpSize];
    } operation;
    for (int l = 0; l < kWarpSize; ++l) {
      operation.lanes[l] = *static_cast<WgmmaArgs*>(lanes[l]);
      if (operation.lanes[l].a != operation.lanes[0].a || operation.lanes[l].b != operation.lanes[0].b)
        fail("wgmma: descriptors differ between lanes");
    }
    Warp& warp = current_warp();
    if (!warp.fenced) fail("wgmma: no wgmma.fence since the last wait");
    ++warp.wgmma_issued;
    const int index = g_thread->warp;
    auto multiply = [operation, index] { multiply_quarter<N>(operation.lanes, index); };
    if (config().math == Timing::kImmediate) multiply();
    else warp.open_math.push_back(multiply);
  });
}

inline void wgmma_fence() {
  static char none;
  warp_collective("wgmma.fence", kFullMask, &none, [](void* const*, unsigned) { current_warp().fenced = true; });
}

inline void wgmma_commit() {
  static char none;
  warp_collective("wgmma.commit_group", kFullMask, &none, [](void* const*, unsigned) {
    Warp& warp = current_warp();
    warp.math_groups.push_back(std::move(warp.open_math));
    warp.open_math.clear();
  });
}

inline void wgmma_wait(int pending) {
  warp_collective("wgmma.wait_group", kFullMask, &pending, [](void* const* lanes, unsigned) {
    Warp& warp = current_warp();
    while (warp.math_groups.size() > static_cast<size_t>(*static_cast<int*>(lanes[0]))) {
      for (const WarpgroupMath& multiply : warp.math_groups.front()) multiply();
      warp.math_groups.erase(warp.math_groups.begin());
    }
    warp.fenced = false;
  });
}

}  // namespace graft_shim

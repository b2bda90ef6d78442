// Block scheduler of the host emulation: every CUDA thread is a fiber, one block runs at a time.
// A fiber runs until it blocks (barrier, warp collective, mbarrier wait); the scheduling order
// then decides who runs next.  Forward and reverse are greedy: the lowest (highest) runnable
// thread runs as far as it can, which gives the largest skew between warps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace graft_shim {

constexpr int kWarpSize = 32;
constexpr int kMaxThreads = 1024;
constexpr unsigned kFullMask = 0xffffffffu;
constexpr size_t kDefaultSharedLimit = 48 * 1024;
constexpr size_t kMaxSharedLimit = 227 * 1024;

enum class Order { kForward, kReverse, kRandom };
// When an asynchronous operation takes effect: at its issue, or as late as the program allows.
enum class Timing { kImmediate, kDeferred };

struct Config {
  Order order = Order::kForward;
  Timing copies = Timing::kDeferred;  // cp.async and TMA
  Timing math = Timing::kDeferred;    // wgmma
  uint64_t seed = 1;
};

struct Stats {
  uint64_t switches = 0;
  uint64_t warp_instructions = 0;
  uint64_t ldmatrix_phases = 0;           // 8-row phases of ldmatrix
  uint64_t ldmatrix_extra_wavefronts = 0;  // bank conflicts: wavefronts beyond one per phase
};

// One cp.async of 16 bytes; bytes beyond source_bytes are zero-filled.
struct AsyncCopy {
  void* destination;
  const void* source;
  int source_bytes;
};

// One bulk tensor copy in flight; run() writes the tile and completes its bytes on the mbarrier.
using BulkCopy = std::function<void()>;

// One warp's quarter of a wgmma in flight.
using WarpgroupMath = std::function<void()>;

struct Thread {
  dim3 index{0, 0, 0};
  int linear = 0;
  int lane = 0;
  int warp = 0;
  bool exited = false;
  const char* waiting_for = nullptr;  // what a blocked thread waits for, for reports
  const void* waiting_on = nullptr;   // mbarrier address, if that is what it waits for

  // Warp collective: valid between a lane's arrival and the execution by the last lane.
  const char* op = nullptr;
  unsigned mask = 0;
  void* args = nullptr;

  uint32_t warp_syncs_passed = 0;  // for the race detector

  std::vector<AsyncCopy> open_copies;
  std::vector<std::vector<AsyncCopy>> copy_groups;  // committed, oldest first

  Fiber fiber;
};

struct Warp {
  // Lanes that have not exited, and those that wait in a collective: all of them in
  // that of op and mask, or mixed.
  unsigned alive = 0, waiting = 0;
  const char* op = nullptr;
  unsigned mask = 0;
  bool mixed = false;

  std::vector<WarpgroupMath> open_math;
  std::vector<std::vector<WarpgroupMath>> math_groups;  // committed, oldest first
  bool fenced = false;                                  // wgmma.fence seen since the last wait
  uint64_t wgmma_issued = 0;
};

// Race detector: who accessed a byte of shared memory, and when.
struct AccessRecord {
  int thread = -1;
  uint32_t barriers = 0, warp_syncs = 0;
};
struct ShadowByte {
  AccessRecord writer, readers[2];
};

struct SharedAllocation {
  const void* key = nullptr;
  unsigned char* data = nullptr;
  size_t size = 0;
  std::vector<ShadowByte> shadow;  // filled by the race detector only
};

struct Block {
  dim3 index{0, 0, 0}, block_dim, grid_dim;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<SharedAllocation> static_shared;
  SharedAllocation dynamic_shared;
  uint32_t barriers_passed = 0;  // of all threads
  std::map<uint32_t, bool> votes;     // of __syncthreads_or, by the number of the barrier
  std::vector<BulkCopy> bulk_copies;  // issued, not yet landed
  std::vector<const uint64_t*> unfenced_barriers;  // initialised, not yet visible to TMA
};

extern Block* g_block;
extern Thread* g_thread;

Config& config();
Stats& stats();

// Message of the first failure since the last call; empty if none.
std::string take_error();

// Records a failure of the running thread and ends the launch.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

uint64_t random_bits();

// Blocks the running thread until wake() makes it runnable again.
void block_thread(const char* waiting_for, const void* waiting_on = nullptr);
void wake(Thread& thread);
void yield();

// Memory accesses inside an emulated instruction are not those of the program text.
extern int g_instruction_depth;
struct InstructionScope {
  InstructionScope() { ++g_instruction_depth; }
  ~InstructionScope() { --g_instruction_depth; }
};

// Tells the race detector of an access that an emulated instruction makes (see racecheck.cc).
#if defined(__SANITIZE_THREAD__)
void shared_access(const void* pointer, size_t size, bool write);
#else
inline void shared_access(const void*, size_t, bool) {}
#endif

// Rendezvous of the lanes in mask; the last lane to arrive runs execute(args by lane, mask).
using CollectiveBody = void (*)(void* const* args, unsigned mask);
void warp_collective(const char* op, unsigned mask, void* args, CollectiveBody execute);

// bar.sync id, count (count 0: all threads of the block).
void barrier_sync(int id, int count, const char* what, int line);

void* static_shared_allocation(const void* key, size_t size, size_t alignment);

// The 32-bit shared-window address of a pointer into dynamic shared memory, and back.
uint32_t shared_address(const void* pointer);
unsigned char* shared_pointer(uint32_t address);

// Between launch() and the scheduler.
void begin_launch(const char* kernel_name);
bool has_failed();
void run_block(Block& block, const std::function<void()>& body);

void set_shared_limit(const void* kernel, size_t bytes);
void launch(const char* name, const void* kernel, dim3 grid, dim3 block, size_t shared_bytes,
            const std::function<void()>& body);

}  // namespace graft_shim

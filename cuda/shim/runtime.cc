#include "runtime.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace graft_shim {
namespace {

constexpr size_t kMemory = size_t{8} << 30;

// The scheduler runs one kernel at a time; contexts may be used by several threads.
std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

thread_local std::string last_report;

// Device memory starts as NaN. Large blocks are private mappings of one file of
// 0xff bytes, so that only the pages that a test writes cost anything.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kMapped = SIZE_MAX;  // the sanitizer fences what comes from malloc
#else
constexpr size_t kMapped = size_t{1} << 20;
#endif

std::map<void*, size_t>& mappings() {
  static std::map<void*, size_t> instance;
  return instance;
}

void* map_poison(size_t size) {
  static const int file = memfd_create("poison", 0);
  static size_t filled = 0;
  for (const std::vector<char> part(size_t{1} << 20, '\xff'); filled < size; filled += part.size())
    if (file < 0 || write(file, part.data(), part.size()) != static_cast<ssize_t>(part.size())) return nullptr;
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) return nullptr;
  mappings()[data] = size;
  return data;
}

cudaError_t report() {
  const std::string error = take_error();
  if (error.empty()) return cudaSuccess;
  std::fprintf(stderr, "%s\n", error.c_str());
  last_report = error;
  return cudaErrorLaunchFailure;
}

}  // namespace

void submit(Stream* stream, Task task) {
  if (stream) {
    stream->tasks.push_back(std::move(task));
  } else {
    std::lock_guard<std::mutex> lock(one_at_a_time());
    task();
  }
}

cudaError_t wait(Stream* stream) {
  if (stream && stream->capturing) return cudaErrorStreamCaptureInvalidated;
  std::lock_guard<std::mutex> lock(one_at_a_time());
  if (stream) {
    for (const Task& task : stream->tasks) task();
    stream->tasks.clear();
  }
  return report();
}

}  // namespace graft_shim

using graft_shim::Graph;
using graft_shim::Stream;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "host emulation");
  properties->totalGlobalMem = graft_shim::kMemory;
  properties->major = 9;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  *free_bytes = *total_bytes = graft_shim::kMemory;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t size) {
  *pointer = nullptr;
  if (size > graft_shim::kMemory) return cudaErrorMemoryAllocation;
  if (size >= graft_shim::kMapped) {
    std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
    *pointer = graft_shim::map_poison(size);
    return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
  }
  if (posix_memalign(pointer, 256, size)) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xff, size);
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  const auto mapped = graft_shim::mappings().find(pointer);
  if (mapped == graft_shim::mappings().end()) {
    std::free(pointer);
  } else {
    munmap(pointer, mapped->second);
    graft_shim::mappings().erase(mapped);
  }
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** pointer, size_t size) { return cudaMalloc(pointer, size); }
cudaError_t cudaFreeHost(void* pointer) { return cudaFree(pointer); }

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, size, kind, nullptr);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
  graft_shim::submit(stream, [=] { if (size) std::memcpy(to, from, size); });
  return cudaSuccess;
}
cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
  graft_shim::submit(stream, [=] {
    for (size_t row = 0; row < height; ++row) std::memset(static_cast<char*>(to) + row * pitch, value, width);
  });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return graft_shim::wait(stream); }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const cudaError_t error = graft_shim::wait(stream);
  stream->capturing = true;
  return error;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capturing) return cudaErrorInvalidValue;
  *graph = new Graph{std::move(stream->tasks)};
  stream->tasks.clear();
  stream->capturing = false;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const graft_shim::Task& task : exec->tasks) graft_shim::submit(stream, task);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return graft_shim::wait(nullptr); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNotReady: return "not ready";
    case cudaErrorNotSupported: return "not supported";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a capture";
    case cudaErrorLaunchFailure: break;
  }
  return graft_shim::last_report.empty() ? "launch failure" : graft_shim::last_report.c_str();
}

// The part of the CUDA runtime that the backend calls: memory, streams, graphs.
//
// A stream keeps what it was asked in order and does it when somebody waits for
// it, so that a copy from memory that is gone by then is found. The default
// stream (nullptr) works at once. Device memory is host memory of the exact
// size, fenced by AddressSanitizer and filled with NaN.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include "scheduler.h"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorNotSupported = 801,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorStreamCaptureWrongThread = 908
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDefault = 0, cudaEventDisableTiming = 2;
#define CUDART_VERSION 13000

namespace graft_shim {
using Task = std::function<void()>;
// Tasks of a stream run in order, and none before it is waited for, unless
// GRAFT_SHIM_STREAM says early (each at once) or random (some at each call): a
// program must be right with all three.
struct Capture;
struct Stream {
  std::deque<Task> tasks;
  uint64_t issued = 0, done = 0;
  std::shared_ptr<Capture> capture;  // null: none
  std::vector<size_t> last;          // in a capture, the nodes that its next one comes after
};
// What was recorded: each node with those that it comes after. A launch runs the
// nodes of the other streams as late as they may, or as early, or at random.
struct Node {
  Task task;
  std::vector<size_t> after;
  bool aside;  // recorded on another stream than the one whose capture it is
};
struct Graph {
  std::vector<Node> nodes;
  bool uploaded = false;  // its first launch does it, and may have no memory for it
};
struct Capture {
  Graph graph;
  std::thread::id thread;  // only it may end it
  std::vector<Stream*> streams;  // the first is the one that began it
};
struct Event {
  Stream* stream = nullptr;  // where it was recorded, after that many tasks
  uint64_t after = 0;
  std::shared_ptr<Capture> capture;  // or in a capture, after those nodes
  std::vector<size_t> last;
  std::shared_ptr<double> time;  // in milliseconds, 0 until the stream is there; null: without timing
};
void submit(Stream* stream, Task task);
cudaError_t wait(Stream* stream);
}  // namespace graft_shim

using cudaStream_t = graft_shim::Stream*;
using cudaEvent_t = graft_shim::Event*;
using cudaGraph_t = graft_shim::Graph*;
using cudaGraphExec_t = graft_shim::Graph*;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);
cudaError_t cudaMalloc(void** pointer, size_t size);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMallocHost(void** pointer, size_t size);
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGetLastError();  // what was refused; a kernel's failure is reported by the wait for its stream
cudaError_t cudaDeviceSynchronize();
const char* cudaGetErrorString(cudaError_t error);

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int bytes) {
  if (bytes < 0 || static_cast<size_t>(bytes) > graft_shim::kMaxSharedLimit) return cudaErrorInvalidValue;
  graft_shim::set_shared_limit(reinterpret_cast<const void*>(kernel), static_cast<size_t>(bytes));
  return cudaSuccess;
}

namespace graft_shim {

// Arguments are copied at the launch, as the driver does.
template <class... Parameters, class... Arguments>
void launch_kernel(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t stream, Arguments... arguments) {
  const std::tuple<Parameters...> values(arguments...);
  submit(stream, [=] {
    launch(name, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, [&] { std::apply(kernel, values); });
  });
}

}  // namespace graft_shim

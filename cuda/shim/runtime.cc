#include "runtime.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
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
// 0xff bytes, again and again, so that only the pages that a test writes cost
// anything: blocks may be larger than the memory of the machine.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kMapped = size_t{1} << 30;  // the sanitizer fences what comes from malloc
#else
constexpr size_t kMapped = size_t{1} << 20;
#endif
constexpr size_t kPoison = size_t{64} << 20;

std::map<void*, size_t>& mappings() {
  static std::map<void*, size_t> instance;
  return instance;
}

int poison() {
  static const int file = [] {
    const int created = memfd_create("poison", 0);
    const std::vector<char> part(size_t{1} << 20, '\xff');
    for (size_t filled = 0; filled < kPoison; filled += part.size())
      if (created < 0 || write(created, part.data(), part.size()) != static_cast<ssize_t>(part.size())) return -1;
    return created;
  }();
  return file;
}

void* map_poison(size_t size) {
  void* data = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  for (size_t at = 0; at < size; at += kPoison) {
    void* part = static_cast<char*>(data) + at;
    if (mmap(part, std::min(kPoison, size - at), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, poison(), 0) != part) {
      munmap(data, size);
      return nullptr;
    }
  }
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

// A variable of the environment as a number, so that a test can ask for another
// device than there is. "75,90" is a number for each device, the last one for
// those after it too.
long long setting(const char* name, long long otherwise, int device = 0) {
  const char* text = std::getenv(name);
  if (!text || !*text) return otherwise;
  for (const char* comma; device-- > 0 && (comma = std::strchr(text, ','));) text = comma + 1;
  return std::atoll(text);
}

thread_local int selected = 0;  // device of this thread

size_t memory(int device) { return static_cast<size_t>(setting("GRAFT_SHIM_MEMORY", kMemory, device)); }

// Calls of the runtime are written to the file GRAFT_SHIM_LOG, a line each.
template <class... Arguments> void note(const char* format, Arguments... arguments) {
  const char* path = std::getenv("GRAFT_SHIM_LOG");
  if (!path || !*path) return;
  if (FILE* file = std::fopen(path, "a")) {
    std::fprintf(file, format, arguments...);
    std::fputc('\n', file);
    std::fclose(file);
  }
}

int capturing = 0;                // streams that do
std::map<void*, size_t> live;     // allocations of the device and pinned ones
size_t in_use = 0;                // bytes of the devices, which share what is allocated
long long allocations = 0;        // since GRAFT_SHIM_FAIL changed

// The last error of a call, which stays until it is read.
cudaError_t last_error = cudaSuccess;
cudaError_t refuse(cudaError_t error) { return last_error = error; }

// Whether an allocation is to fail: the one of that number that GRAFT_SHIM_FAIL
// names, counted from 1, and any beyond the memory. Streams and events count as
// allocations of no size.
cudaError_t may_allocate(size_t size) {
  static long long failing = 0;
  const long long wanted = setting("GRAFT_SHIM_FAIL", 0);
  if (wanted != failing) allocations = 0, failing = wanted;
  if (++allocations == wanted || size > memory(selected) - std::min(memory(selected), in_use)) return refuse(cudaErrorMemoryAllocation);
  return cudaSuccess;
}

// Runs what a stream has to do up to a task of its own.
void run(Stream* stream, uint64_t until) {
  while (stream->done < until && !stream->tasks.empty()) {
    const Task task = std::move(stream->tasks.front());
    stream->tasks.pop_front();
    ++stream->done;
    task();
  }
}

bool ordered(const char* how) {
  const char* order = std::getenv("GRAFT_SHIM_STREAM");
  return order && !std::strcmp(order, how);
}

size_t draw(size_t below) {
  static uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % below;
}

// An order of a graph's nodes that it allows.
std::vector<size_t> order(const Graph& graph) {
  const size_t n = graph.nodes.size();
  std::vector<size_t> missing(n), all;
  std::vector<std::vector<size_t>> next(n);
  std::set<size_t> ready[2];  // of the stream that began it, and aside
  for (size_t i = 0; i < n; ++i) {
    missing[i] = graph.nodes[i].after.size();
    for (const size_t before : graph.nodes[i].after) next[before].push_back(i);
    if (missing[i] == 0) ready[graph.nodes[i].aside].insert(i);
  }
  while (all.size() < n) {
    const bool aside = ready[0].empty() || (!ready[1].empty() && (ordered("early") || (ordered("random") && draw(2))));
    const size_t i = *ready[aside].begin();
    ready[aside].erase(i);
    all.push_back(i);
    for (const size_t later : next[i])
      if (--missing[later] == 0) ready[graph.nodes[later].aside].insert(later);
  }
  return all;
}

// Whether everything that was captured comes before what the stream has last.
bool joined(const Capture& capture, const Stream& stream) {
  std::vector<bool> seen(capture.graph.nodes.size());
  std::vector<size_t> todo = stream.last;
  size_t count = 0;
  while (!todo.empty()) {
    const size_t i = todo.back();
    todo.pop_back();
    if (seen[i]) continue;
    seen[i] = true;
    ++count;
    for (const size_t before : capture.graph.nodes[i].after) todo.push_back(before);
  }
  return count == seen.size();
}

}  // namespace

void submit(Stream* stream, Task task) {
  std::lock_guard<std::mutex> lock(one_at_a_time());
  if (!stream) return task();
  if (stream->capture) {
    std::vector<Node>& nodes = stream->capture->graph.nodes;
    nodes.push_back({std::move(task), std::move(stream->last), stream != stream->capture->streams[0]});
    stream->last = {nodes.size() - 1};
    return;
  }
  stream->tasks.push_back(std::move(task));
  ++stream->issued;
  if (ordered("early")) run(stream, stream->issued);
  if (ordered("random")) run(stream, stream->done + draw(4));
}

cudaError_t wait(Stream* stream) {
  if (stream && stream->capture) return cudaErrorStreamCaptureInvalidated;
  std::lock_guard<std::mutex> lock(one_at_a_time());
  note("cudaStreamSynchronize");
  if (stream) run(stream, stream->issued);
  return report();
}

}  // namespace graft_shim

using graft_shim::Event;
using graft_shim::Graph;
using graft_shim::Stream;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  int version = 0;
  cudaDriverGetVersion(&version);
  if (version < CUDART_VERSION) return cudaErrorInsufficientDriver;
  *count = static_cast<int>(graft_shim::setting("GRAFT_SHIM_DEVICES", 1));
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || device < 0 || device >= count) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "host emulation");
  properties->totalGlobalMem = graft_shim::memory(device);
  const long long arch = graft_shim::setting("GRAFT_SHIM_ARCH", 90, device);
  properties->major = static_cast<int>(arch / 10);
  properties->minor = static_cast<int>(arch % 10);
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(graft_shim::setting("GRAFT_SHIM_DRIVER", CUDART_VERSION));
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= graft_shim::setting("GRAFT_SHIM_DEVICES", 1)) return cudaErrorInvalidDevice;
  graft_shim::selected = device;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  *total_bytes = graft_shim::memory(graft_shim::selected);
  *free_bytes = *total_bytes - std::min(*total_bytes, graft_shim::in_use);
  return cudaSuccess;
}

namespace {
cudaError_t allocate(bool pinned, void** pointer, size_t size) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  *pointer = nullptr;
  if (graft_shim::capturing) return graft_shim::refuse(cudaErrorStreamCaptureUnsupported);
  const cudaError_t error = graft_shim::may_allocate(pinned ? 0 : size);
  if (error != cudaSuccess) return error;
  if (size >= graft_shim::kMapped) {
    *pointer = graft_shim::map_poison(size);
    if (!*pointer) return cudaErrorMemoryAllocation;
  } else {
    if (posix_memalign(pointer, 256, size)) return cudaErrorMemoryAllocation;
    std::memset(*pointer, 0xff, size);
  }
  graft_shim::note("%s %zu", pinned ? "cudaMallocHost" : "cudaMalloc", size);
  graft_shim::live[*pointer] = size;
  if (!pinned) graft_shim::in_use += size;
  return cudaSuccess;
}

cudaError_t release(bool pinned, void* pointer) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  if (!pointer) return cudaSuccess;
  const auto known = graft_shim::live.find(pointer);
  if (known == graft_shim::live.end()) return cudaErrorInvalidValue;
  if (!pinned) graft_shim::in_use -= known->second;
  graft_shim::note("%s %zu", pinned ? "cudaFreeHost" : "cudaFree", known->second);
  graft_shim::live.erase(known);
  const auto mapped = graft_shim::mappings().find(pointer);
  if (mapped == graft_shim::mappings().end()) {
    std::free(pointer);
  } else {
    munmap(pointer, mapped->second);
    graft_shim::mappings().erase(mapped);
  }
  return cudaSuccess;
}

// Streams, events and graphs are counted in the log as allocations are.
template <class T> cudaError_t create(const char* what, T** object) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  *object = nullptr;
  if (const cudaError_t error = graft_shim::may_allocate(0)) return error;
  graft_shim::note("%s", what);
  *object = new T;
  return cudaSuccess;
}
}  // namespace

cudaError_t cudaMalloc(void** pointer, size_t size) { return allocate(false, pointer, size); }
cudaError_t cudaFree(void* pointer) { return release(false, pointer); }
cudaError_t cudaMallocHost(void** pointer, size_t size) { return allocate(true, pointer, size); }
cudaError_t cudaFreeHost(void* pointer) { return release(true, pointer); }

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, size, kind, nullptr);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t stream) {
  graft_shim::note("cudaMemcpyAsync %s %zu", kind == cudaMemcpyHostToDevice ? "up" : kind == cudaMemcpyDeviceToHost ? "down" : "within", size);
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
  return create("cudaStreamCreate", stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  graft_shim::note("cudaStreamDestroy");
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return graft_shim::wait(stream); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (const cudaError_t error = create("cudaEventCreate", event)) return error;
  if (!(flags & cudaEventDisableTiming)) (*event)->time = std::make_shared<double>(0);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  graft_shim::note("cudaEventDestroy");
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::shared_ptr<double> time = event->time;
  if (time) {  // a task of the stream takes it
    if (stream->capture) return cudaErrorStreamCaptureUnsupported;
    *time = 0;
    graft_shim::submit(stream, [time] {
      *time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
    });
  }
  *event = {stream, stream->issued, stream->capture, stream->last, time};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event->stream) return cudaSuccess;
  if (event->capture) return cudaErrorStreamCaptureInvalidated;
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  if (event->stream->done < event->after) graft_shim::note("cudaEventSynchronize");  // one that waits
  graft_shim::run(event->stream, event->after);
  return graft_shim::report();
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (!from->time || !to->time) return cudaErrorInvalidValue;
  if (*from->time == 0 || *to->time == 0) return cudaErrorNotReady;
  *milliseconds = static_cast<float>(*to->time - *from->time);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!event->stream || event->stream == stream) return cudaSuccess;
  if (event->capture || stream->capture) {
    if (!event->capture || event->capture->streams.empty()) return cudaErrorStreamCaptureIsolation;  // no capture, or one that ended
    if (stream->capture && stream->capture != event->capture) return cudaErrorStreamCaptureIsolation;
    if (!stream->capture) {
      stream->capture = event->capture;
      stream->capture->streams.push_back(stream);
    }
    for (const size_t node : event->last)
      if (std::find(stream->last.begin(), stream->last.end(), node) == stream->last.end()) stream->last.push_back(node);
    return cudaSuccess;
  }
  const Event at = *event;
  graft_shim::submit(stream, [at] { graft_shim::run(at.stream, at.after); });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  graft_shim::run(stream, stream->issued);  // the recording holds the stream's tasks alone
  stream->capture = std::make_shared<graft_shim::Capture>();
  stream->capture->streams = {stream};
  stream->capture->thread = std::this_thread::get_id();
  ++graft_shim::capturing;
  return graft_shim::report();
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::shared_ptr<graft_shim::Capture> capture = stream->capture;
  if (!capture || capture->streams[0] != stream) return cudaErrorInvalidValue;
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  const bool joined = graft_shim::joined(*capture, *stream);
  for (Stream* s : capture->streams) {
    s->capture = nullptr;
    s->last.clear();
  }
  capture->streams.clear();
  --graft_shim::capturing;
  const bool same = capture->thread == std::this_thread::get_id();
  *graph = joined && same ? new Graph(std::move(capture->graph)) : nullptr;
  if (!same) return cudaErrorStreamCaptureWrongThread;
  return joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = nullptr;
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  if (graft_shim::capturing) return graft_shim::refuse(cudaErrorStreamCaptureUnsupported);
  if (const cudaError_t error = graft_shim::may_allocate(0)) return error;
  const auto aside = std::count_if(graph->nodes.begin(), graph->nodes.end(), [](const graft_shim::Node& node) { return node.aside; });
  graft_shim::note("cudaGraphInstantiate %zu, %td aside", graph->nodes.size(), aside);
  *exec = new Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t) {
  std::lock_guard<std::mutex> lock(graft_shim::one_at_a_time());
  if (exec->uploaded) return cudaSuccess;
  if (const cudaError_t error = graft_shim::may_allocate(0)) return error;
  graft_shim::note("cudaGraphUpload %zu", exec->nodes.size());
  exec->uploaded = true;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const cudaError_t error = cudaGraphUpload(exec, stream);
  if (error != cudaSuccess) return error;
  graft_shim::note("cudaGraphLaunch %zu", exec->nodes.size());
  for (const size_t node : graft_shim::order(*exec)) graft_shim::submit(stream, exec->nodes[node].task);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  graft_shim::note("cudaGraphExecDestroy");
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = graft_shim::last_error;
  graft_shim::last_error = cudaSuccess;
  return error;
}
cudaError_t cudaDeviceSynchronize() { return graft_shim::wait(nullptr); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorStreamCaptureWrongThread: return "attempt to terminate a thread-local capture sequence from another thread";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNotReady: return "not ready";
    case cudaErrorNotSupported: return "not supported";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a capture";
    case cudaErrorStreamCaptureUnjoined: return "capture was not joined to original stream";
    case cudaErrorStreamCaptureIsolation: return "dependency created on uncaptured work in another stream";
    case cudaErrorLaunchFailure: break;
  }
  return graft_shim::last_report.empty() ? "launch failure" : graft_shim::last_report.c_str();
}

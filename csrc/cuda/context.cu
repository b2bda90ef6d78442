// Contexts, memory, copies and graphs.
#include "context.cuh"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cudnn.cuh"
#include "entries.cuh"
#include "gemm.cuh"
#include "slots.cuh"

namespace graft::cuda {

namespace {
long long print(int64_t n) { return n; }

// What a wait for work of the device gave.
graft_status* waited(const graft_context* c, cudaError_t e) {
    if (e == cudaSuccess) return nullptr;
    return error(GRAFT_INTERNAL, "%s, at or before %s", cudaGetErrorString(e), c->last);
}
graft_status* wait(graft_context* c) { return waited(c, cudaStreamSynchronize(c->stream)); }
}  // namespace

graft_status* check(cudaError_t e, const char* what) {
    if (e == cudaSuccess) return nullptr;
    cudaGetLastError();  // or the next launch would report it too
    const graft_code code = e == cudaErrorMemoryAllocation ? GRAFT_RESOURCE_EXHAUSTED
                            : e == cudaErrorInvalidDevice  ? GRAFT_UNAVAILABLE
                                                           : GRAFT_INTERNAL;
    return error(code, "%s: %s", what, cudaGetErrorString(e));
}

graft_status* Carver::check(const char* what) const {
    if (used_ <= size_) return nullptr;
    return error(GRAFT_RESOURCE_EXHAUSTED, "%lld bytes of %s are needed, %lld are there", print(used_), what, print(size_));
}

graft_status* begin(graft_context* c, const char* op) {
    c->last = op;
    return check(cudaSetDevice(c->device), "selecting the device");
}

graft_status* end(graft_context* c) { return c->debug && !c->capturing ? wait(c) : nullptr; }

graft_status* device_count(int32_t* count) {
    int n = 0;
    *count = 0;
    const cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess) {
        int driver = 0, runtime = 0;
        cudaDriverGetVersion(&driver);
        cudaRuntimeGetVersion(&runtime);
        return error(GRAFT_UNAVAILABLE, "no CUDA device: %s (the driver is made for CUDA %d.%d, this library for %d.%d)",
                     cudaGetErrorString(e), driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    }
    *count = n;
    return nullptr;
}

namespace {
// What a device is; an error where the kernels cannot run on it, so that it is listed as it would be opened.
graft_status* properties_of(int32_t device, cudaDeviceProp* properties) {
    GRAFT_TRY(check(cudaGetDeviceProperties(properties, device), "device properties"));
    const int arch = properties->major * 10 + properties->minor;
    if (arch < 80) return error(GRAFT_UNAVAILABLE, "%.99s is sm_%d; sm_80 or later is needed", properties->name, arch);
    return nullptr;
}
}  // namespace

graft_status* device_info(int32_t device, graft_device_info* info) {
    const size_t size = info->struct_size;
    if (size < sizeof *info) return error(GRAFT_INVALID_ARGUMENT, "device info: %zu bytes, expected %zu", size, sizeof *info);
    *info = {};
    info->struct_size = size;
    cudaDeviceProp properties;
    GRAFT_TRY(properties_of(device, &properties));
    GRAFT_TRY(check(cudaSetDevice(device), "selecting the device"));
    size_t free_bytes = 0, total = 0;
    GRAFT_TRY(check(cudaMemGetInfo(&free_bytes, &total), "memory of the device"));
    int driver = 0;
    GRAFT_TRY(check(cudaDriverGetVersion(&driver), "driver version"));
    std::snprintf(info->name, sizeof info->name, "%.127s", properties.name);
    std::snprintf(info->arch, sizeof info->arch, "sm_%d%d", properties.major, properties.minor);
    const cudnn::Library& library = cudnn::library();
    const std::string cudnn = library.missing.empty() ? "cuDNN " + library.version : "no cuDNN: " + library.missing;
    const std::string versions = "CUDA " + std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10) + ", " + cudnn;
    std::snprintf(info->driver, sizeof info->driver, "%.63s", versions.c_str());
    info->threads = properties.multiProcessorCount;
    info->memory_total = int64_t(total);
    info->memory_free = int64_t(free_bytes);
    return nullptr;
}

void context_destroy(graft_context* c) {
    if (!c) return;
    cudaSetDevice(c->device);
    if (c->stream) {
        cudaStreamSynchronize(c->stream);
        if (c->cudnn) c->cudnn_destroy(c->cudnn);  // knows the stream
        cudaStreamDestroy(c->stream);
    }
    if (c->ahead) cudaStreamDestroy(c->ahead);
    if (c->cublaslt) c->cublaslt_destroy(c->cublaslt);
    if (c->workspace) cudaFree(c->workspace);
    for (cudaEvent_t event : c->copied)
        if (event) cudaEventDestroy(event);
    for (const auto& slot : c->slots)
        for (cudaEvent_t event : {slot.filled, slot.read})
            if (event) cudaEventDestroy(event);
    if (c->written) cudaEventDestroy(c->written);
    for (cudaEvent_t event : c->marks) cudaEventDestroy(event);
    if (c->pinned) cudaFreeHost(c->pinned);
    delete c;
}

namespace {
// A library that is asked for by name and is not there is an error: what runs in its
// place would be taken for it.
graft_status* libraries() {
    const auto is = [](const char* variable, const char* value) {
        const char* set = std::getenv(variable);
        return set && !std::strcmp(set, value);
    };
    if (is("GRAFT_CUDA_GEMM", "cublaslt") && !gemm_cublaslt_is_there())
        return error(GRAFT_UNAVAILABLE, "GRAFT_CUDA_GEMM=cublaslt: libcublasLt.so.13 or .12 is not found");
    if (is("GRAFT_CUDA_ATTENTION", "cudnn") && !cudnn::library().missing.empty())
        return error(GRAFT_UNAVAILABLE, "GRAFT_CUDA_ATTENTION=cudnn: %s", cudnn::library().missing.c_str());
    return nullptr;
}

graft_status* fill(graft_context* c, const graft_context_options* o) {
    int32_t count = 0;
    GRAFT_TRY(device_count(&count));
    if (o->device < 0 || o->device >= count)
        return error(GRAFT_UNAVAILABLE, "cuda:%d: there are %d devices", o->device, count);
    cudaDeviceProp properties;
    GRAFT_TRY(properties_of(o->device, &properties));
    GRAFT_TRY(libraries());
    c->device = o->device;
    c->arch = properties.major * 10 + properties.minor;
    c->multiprocessors = properties.multiProcessorCount;
    c->debug = o->debug != 0;
    GRAFT_TRY(check(cudaSetDevice(o->device), "selecting the device"));
    GRAFT_TRY(check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream"));
    GRAFT_TRY(check(cudaMallocHost(reinterpret_cast<void**>(&c->pinned), graft_context::kBlocks * graft_context::kBlockBytes),
                    "pinned staging"));
    for (cudaEvent_t& event : c->copied)
        GRAFT_TRY(check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event"));
    GRAFT_TRY(check(cudaStreamCreateWithFlags(&c->ahead, cudaStreamNonBlocking), "stream"));
    GRAFT_TRY(check(cudaEventCreateWithFlags(&c->written, cudaEventDisableTiming), "event"));
    for (auto& slot : c->slots)
        for (cudaEvent_t* event : {&slot.filled, &slot.read})
            GRAFT_TRY(check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "event"));
    if (o->workspace_bytes <= 0) return nullptr;
    GRAFT_TRY(check(cudaMalloc(&c->workspace, size_t(o->workspace_bytes)), "workspace"));
    c->slot_bytes = o->workspace_bytes / (2 * graft_context::kSlots) / 16 * 16;
    c->workspace_bytes = o->workspace_bytes - graft_context::kSlots * c->slot_bytes;
    c->workspace_bytes -= c->workspace_bytes % 16;
    for (int i = 0; i < graft_context::kSlots; i++)
        c->slots[i].data = static_cast<char*>(c->workspace) + c->workspace_bytes + i * c->slot_bytes;
    return nullptr;
}
}  // namespace

graft_status* context_create(graft_context** out, const graft_context_options* o) {
    *out = nullptr;
    if (o->struct_size < sizeof *o)
        return error(GRAFT_INVALID_ARGUMENT, "context options: %zu bytes, expected %zu", o->struct_size, sizeof *o);
    graft_context* c = new graft_context;
    if (graft_status* status = fill(c, o)) {
        context_destroy(c);
        return status;
    }
    *out = c;
    return nullptr;
}

graft_status* allocate(graft_context*, void** out, int64_t bytes) {
    *out = nullptr;
    if (bytes < 0) return error(GRAFT_INVALID_ARGUMENT, "%lld bytes", print(bytes));
    if (bytes == 0) return nullptr;
    if (cudaMalloc(out, size_t(bytes)) == cudaSuccess) return nullptr;
    cudaGetLastError();  // as in check
    return error(GRAFT_RESOURCE_EXHAUSTED, "no %lld bytes of device memory", print(bytes));
}

namespace {
// Pinned memory for a part of a copy: of the block that is filled now, or of the
// next one, once its last copy is done.
graft_status* take_block(graft_context* c, int64_t bytes, char** data, cudaEvent_t* event) {
    if (c->filled + bytes > graft_context::kBlockBytes) {
        c->block = (c->block + 1) % graft_context::kBlocks;
        c->filled = 0;
        GRAFT_TRY(waited(c, cudaEventSynchronize(c->copied[c->block])));
    }
    *data = c->pinned + c->block * graft_context::kBlockBytes + c->filled;
    *event = c->copied[c->block];
    c->filled += (bytes + 255) / 256 * 256;
    return nullptr;
}
int64_t part_of(int64_t bytes) { return bytes < graft_context::kBlockBytes ? bytes : graft_context::kBlockBytes; }
}  // namespace

// The source may change when this returns, though the copy may not have begun:
// what is launched after it comes after it. So a step can be staged while the
// one before it runs, and a file read while its beginning is on the way.
graft_status* upload(graft_context* c, void* dst, const void* src, int64_t bytes) {
    for (int64_t done = 0; done < bytes;) {
        const int64_t part = part_of(bytes - done);
        char* block;
        cudaEvent_t event;
        GRAFT_TRY(take_block(c, part, &block, &event));
        std::memcpy(block, static_cast<const char*>(src) + done, size_t(part));
        GRAFT_TRY(check(cudaMemcpyAsync(static_cast<char*>(dst) + done, block, size_t(part), cudaMemcpyHostToDevice, c->stream),
                        "copy to the device"));
        GRAFT_TRY(check(cudaEventRecord(event, c->stream), "event"));
        done += part;
    }
    return nullptr;
}

graft_status* download(graft_context* c, void* dst, const void* src, int64_t bytes) {
    if (bytes <= 0) return wait(c);
    for (int64_t done = 0; done < bytes;) {
        const int64_t part = part_of(bytes - done);
        char* block;
        cudaEvent_t event;
        GRAFT_TRY(take_block(c, part, &block, &event));
        GRAFT_TRY(check(cudaMemcpyAsync(block, static_cast<const char*>(src) + done, size_t(part), cudaMemcpyDeviceToHost, c->stream),
                        "copy from the device"));
        GRAFT_TRY(wait(c));
        std::memcpy(static_cast<char*>(dst) + done, block, size_t(part));
        done += part;
    }
    return nullptr;
}

graft_status* synchronize(graft_context* c) { return wait(c); }

graft_status* mark(graft_context* c, int32_t index) {
    if (index < 0 || index >= 65536) return error(GRAFT_INVALID_ARGUMENT, "mark %d: there are 65536", index);
    while (c->marks.size() <= size_t(index)) {
        cudaEvent_t event = nullptr;
        GRAFT_TRY(check(cudaEventCreateWithFlags(&event, cudaEventDefault), "event"));
        c->marks.push_back(event);
    }
    return check(cudaEventRecord(c->marks[size_t(index)], c->stream), "event");
}

graft_status* elapsed(graft_context* c, int32_t from, int32_t to, double* seconds) {
    for (int32_t index : {from, to})
        if (index < 0 || size_t(index) >= c->marks.size())
            return error(GRAFT_INVALID_ARGUMENT, "mark %d was not made, %zu were", index, c->marks.size());
    float milliseconds = 0;
    GRAFT_TRY(check(cudaEventElapsedTime(&milliseconds, c->marks[size_t(from)], c->marks[size_t(to)]), "time between marks"));
    *seconds = 1e-3 * double(milliseconds);
    return nullptr;
}

graft_status* capture_begin(graft_context* c) {
    GRAFT_TRY(check(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "start of a capture"));
    c->capturing = true;
    for (auto& slot : c->slots) slot.used = false;
    graft_status* status = weights_written(c);
    if (!status) return nullptr;
    c->capturing = false;
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(c->stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    return status;
}

graft_status* capture_end(graft_context* c, void** out) {
    *out = nullptr;
    c->capturing = false;
    cudaGraph_t graph = nullptr;
    GRAFT_TRY(check(cudaStreamEndCapture(c->stream, &graph), "end of a capture"));
    cudaGraphExec_t exec = nullptr;
    const cudaError_t e = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    GRAFT_TRY(check(e, "graph"));
    // Its first launch would do this too, and take memory inside of a step.
    if (graft_status* status = check(cudaGraphUpload(exec, c->stream), "graph")) {
        cudaGraphExecDestroy(exec);
        return status;
    }
    *out = exec;
    return nullptr;
}

graft_status* graph_launch(graft_context* c, void* graph) {
    GRAFT_TRY(check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), c->stream), "graph launch"));
    return c->debug ? wait(c) : nullptr;
}

}  // namespace graft::cuda

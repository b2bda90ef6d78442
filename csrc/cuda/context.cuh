// The context of a CUDA device and what every operation is written with: views
// of tensors, parts of the workspace, launches.
#pragma once

#include <climits>
#include <vector>

#include "../core/check.h"
#include "../include/graft/graft.h"
#include "portable.cuh"

struct graft_context {
    int device = 0;
    int arch = 0;  // 90 for compute capability 9.0
    int multiprocessors = 0;
    bool debug = false, capturing = false;
    cudaStream_t stream = nullptr;
    void* workspace = nullptr;
    int64_t workspace_bytes = 0;  // for operations; as many bytes behind them are the slots
    // Decoded weights, and the stream that fills them ahead of their products: slots.cuh.
    static constexpr int kSlots = 2;
    struct {
        void* data = nullptr;
        cudaEvent_t filled = nullptr, read = nullptr;
        bool used = false;  // read in the recording that runs
    } slots[kSlots];
    int64_t slot_bytes = 0;
    int next_slot = 0;
    cudaStream_t ahead = nullptr;
    cudaEvent_t written = nullptr;
    // Pinned blocks that copies go through in turn, several small ones through one,
    // each block with the event of the copy that was the last to use it.
    static constexpr int kBlocks = 8;
    static constexpr int64_t kBlockBytes = 1 << 20;
    char* pinned = nullptr;
    cudaEvent_t copied[kBlocks] = {};
    int block = 0;       // the one that is filled now
    int64_t filled = 0;  // bytes of it
    std::vector<cudaEvent_t> marks;  // of the device's clock, as many as were asked for
    void* cublaslt = nullptr;  // its handle, once a product went there
    void (*cublaslt_destroy)(void*) = nullptr;
    void* cudnn = nullptr;  // its handle and plans, once attention went there
    void (*cudnn_destroy)(void*) = nullptr;
    const char* last = "";  // the operation that was issued last
};

namespace graft::cuda {

// A failure of the runtime as a status; NULL for success.
graft_status* check(cudaError_t error, const char* what);

// The status of the launches since the last call.
inline graft_status* launched() { return check(cudaGetLastError(), "launch"); }

// ---- tensors ----------------------------------------------------------------

// A matrix as kernels see it.
template <class T> struct Matrix {
    T* data;
    int64_t rows, cols, pitch;
    __host__ __device__ T* row(int64_t i) const { return data + i * pitch; }
};
template <class T> Matrix<T> view(const graft_tensor& t) {
    return {static_cast<T*>(t.data), rows(t), cols(t), t.pitch};
}

// Whether rows of t start at multiples of 16 bytes and are made of whole packs of V.
inline bool packs(const graft_tensor& t, int v) {
    return !given(t) || (reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && cols(t) % v == 0 && t.pitch % v == 0);
}

// ---- memory -----------------------------------------------------------------

// Hands out parts of a block, each aligned to 16 bytes. Past its end take
// returns NULL and check says how much was asked for: call check before use.
class Carver {
  public:
    Carver(void* data, int64_t bytes) : data_(static_cast<char*>(data)), size_(data ? bytes : 0) {}
    explicit Carver(const graft_context& c) : Carver(c.workspace, c.workspace_bytes) {}
    explicit Carver(const graft_tensor& scratch) : Carver(scratch.data, given(scratch) ? elements(scratch) : 0) {}

    template <class T> T* take(int64_t count) {
        const int64_t first = (used_ + 15) / 16 * 16;
        used_ = first + count * int64_t(sizeof(T));
        return used_ <= size_ ? reinterpret_cast<T*>(data_ + first) : nullptr;
    }
    int64_t left() const { return size_ - (used_ + 15) / 16 * 16; }
    // what names the block: "workspace", "scratch".
    graft_status* check(const char* what) const;

  private:
    char* data_;
    int64_t size_, used_ = 0;
};

// ---- launches ---------------------------------------------------------------

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 1 << 16;

// Blocks for work in parts of one block each; kernels stride over what is more.
inline unsigned blocks_for(int64_t parts) { return unsigned(parts < kMaxBlocks ? (parts > 0 ? parts : 1) : kMaxBlocks); }

// Calls body(row, col) for each V-th element of a matrix of that size.
template <int V, class Body> __global__ void __launch_bounds__(kThreads) each_kernel(Body body, int64_t rows, int64_t cols) {
    const int64_t packs = cols / V;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y)
#pragma unroll 1  // a thread mostly has one pack; unrolled, bodies that divide spill
        for (int64_t p = int64_t(blockIdx.x) * kThreads + threadIdx.x; p < packs; p += int64_t(gridDim.x) * kThreads)
            body(row, p * V);
}
template <int V, class Body> void for_each(cudaStream_t stream, Body body, int64_t rows, int64_t cols) {
    if (rows <= 0 || cols <= 0) return;
    const int64_t across = ceil_div(cols / V, kThreads);
    const dim3 grid(blocks_for(across), unsigned(rows < 65535 ? rows : 65535));
    GRAFT_LAUNCH((each_kernel<V, Body>), grid, dim3(kThreads), 0, stream, body, rows, cols);
}
template <int V, class Body> void for_each(graft_context* c, Body body, int64_t rows, int64_t cols) {
    for_each<V>(c->stream, body, rows, cols);
}

// Runs the statements with T as the element type of a float tensor.
#define GRAFT_BY_TYPE(tensor, T, ...) \
    do { \
        if ((tensor).dtype == GRAFT_BF16) { \
            using T = ::graft::cuda::bf16; \
            __VA_ARGS__; \
        } else { \
            using T = float; \
            __VA_ARGS__; \
        } \
    } while (false)

#define GRAFT_DECLARE(op) graft_status* op(graft_context*, const graft_##op##_args*);
GRAFT_EACH_OP(GRAFT_DECLARE)
#undef GRAFT_DECLARE

}  // namespace graft::cuda

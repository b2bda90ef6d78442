// Products through cuBLASLt, which is opened at run time: a machine without it
// runs on our own kernels. The library is column-major, so it is given B first.
#include "gemm.cuh"

#if defined(__CUDACC__)

#include <cublasLt.h>
#include <dlfcn.h>

#include <utility>

namespace graft::cuda {
namespace {

struct Library {
#define GRAFT_LT(name) decltype(&cublasLt##name) name
    GRAFT_LT(Create);
    GRAFT_LT(Destroy);
    GRAFT_LT(Matmul);
    GRAFT_LT(MatmulDescCreate);
    GRAFT_LT(MatmulDescDestroy);
    GRAFT_LT(MatmulDescSetAttribute);
    GRAFT_LT(MatrixLayoutCreate);
    GRAFT_LT(MatrixLayoutDestroy);
    GRAFT_LT(MatmulPreferenceCreate);
    GRAFT_LT(MatmulPreferenceDestroy);
    GRAFT_LT(MatmulPreferenceSetAttribute);
    GRAFT_LT(MatmulAlgoGetHeuristic);
#undef GRAFT_LT
    bool found = false;

    Library() {
        void* file = nullptr;
        for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"})
            if (!file) file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!file) return;
        found = true;
        auto get = [&](auto& function, const char* name) {
            function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(file, name));
            found = found && function;
        };
#define GRAFT_LT(name) get(name, "cublasLt" #name)
        GRAFT_LT(Create);
        GRAFT_LT(Destroy);
        GRAFT_LT(Matmul);
        GRAFT_LT(MatmulDescCreate);
        GRAFT_LT(MatmulDescDestroy);
        GRAFT_LT(MatmulDescSetAttribute);
        GRAFT_LT(MatrixLayoutCreate);
        GRAFT_LT(MatrixLayoutDestroy);
        GRAFT_LT(MatmulPreferenceCreate);
        GRAFT_LT(MatmulPreferenceDestroy);
        GRAFT_LT(MatmulPreferenceSetAttribute);
        GRAFT_LT(MatmulAlgoGetHeuristic);
#undef GRAFT_LT
    }
};

const Library& library() {
    static const Library instance;
    return instance;
}

// The descriptors of one product.
struct Plan {
    cublasLtMatmulDesc_t product = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    ~Plan() {
        const Library& lt = library();
        if (preference) lt.MatmulPreferenceDestroy(preference);
        for (cublasLtMatrixLayout_t layout : {a, b, c})
            if (layout) lt.MatrixLayoutDestroy(layout);
        if (product) lt.MatmulDescDestroy(product);
    }
};

// What the address of an operand is a multiple of, as far as cuBLASLt asks.
uint32_t alignment(const void* data) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(data), largest = address & -address;
    return largest == 0 || largest > 256 ? 256 : uint32_t(largest);
}

constexpr int64_t kScratch = 32 << 20;  // what its split kernels like to have

// Whether the second operand continues the first along the contraction, which runs
// along its rows or down them.
bool continues(const Operand& first, const Operand& second, int64_t k, bool along) {
    return second.pitch == first.pitch && second.data == static_cast<const bf16*>(first.data) + (along ? k : k * first.pitch);
}

graft_status* multiply(graft_context* c, const Gemm& g, Carver workspace, bool* taken) {
    const Library& lt = library();
    if (!c->cublaslt) {
        cublasLtHandle_t handle = nullptr;
        if (lt.Create(&handle) != CUBLAS_STATUS_SUCCESS) return nullptr;
        c->cublaslt = handle;
        c->cublaslt_destroy = [](void* h) { library().Destroy(static_cast<cublasLtHandle_t>(h)); };
    }
    const cublasOperation_t op_a = g.layout == Layout::NT ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t op_b = g.layout == Layout::TN ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cudaDataType_t type = CUDA_R_16BF, c_type = g.c_type == GRAFT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const uint64_t a_rows = op_a == CUBLAS_OP_T ? g.k : g.n, a_cols = op_a == CUBLAS_OP_T ? g.n : g.k;
    const uint64_t b_rows = op_b == CUBLAS_OP_T ? g.m : g.k, b_cols = op_b == CUBLAS_OP_T ? g.k : g.m;
    size_t scratch = size_t(workspace.left() < kScratch ? workspace.left() : kScratch);
    void* scratch_data = workspace.take<char>(int64_t(scratch));

    Plan plan;
    bool ok = lt.MatmulDescCreate(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
              lt.MatmulDescSetAttribute(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a) == CUBLAS_STATUS_SUCCESS &&
              lt.MatmulDescSetAttribute(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b) == CUBLAS_STATUS_SUCCESS &&
              lt.MatrixLayoutCreate(&plan.a, type, a_rows, a_cols, g.b.pitch) == CUBLAS_STATUS_SUCCESS &&
              lt.MatrixLayoutCreate(&plan.b, type, b_rows, b_cols, g.a.pitch) == CUBLAS_STATUS_SUCCESS &&
              lt.MatrixLayoutCreate(&plan.c, c_type, g.n, g.m, g.c_pitch) == CUBLAS_STATUS_SUCCESS &&
              lt.MatmulPreferenceCreate(&plan.preference) == CUBLAS_STATUS_SUCCESS &&
              lt.MatmulPreferenceSetAttribute(plan.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &scratch,
                                              sizeof scratch) == CUBLAS_STATUS_SUCCESS;
    const uint32_t align_a = alignment(g.b.data), align_b = alignment(g.a.data), align_c = alignment(g.c);
    for (const auto& [attribute, value] : {std::pair{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &align_a},
                                           std::pair{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &align_b},
                                           std::pair{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align_c},
                                           std::pair{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align_c}})
        ok = ok && lt.MatmulPreferenceSetAttribute(plan.preference, attribute, value, sizeof *value) == CUBLAS_STATUS_SUCCESS;
    if (!ok) return nullptr;
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasLtHandle_t handle = static_cast<cublasLtHandle_t>(c->cublaslt);
    if (lt.MatmulAlgoGetHeuristic(handle, plan.product, plan.a, plan.b, plan.c, plan.c, plan.preference, 1, &found, &count) !=
            CUBLAS_STATUS_SUCCESS || count == 0)
        return nullptr;
    const float beta = g.accumulate ? 1.0f : 0.0f;
    if (lt.Matmul(handle, plan.product, &g.alpha, g.b.data, plan.a, g.a.data, plan.b, &beta, g.c, plan.c, g.c, plan.c,
                  &found.algo, scratch_data, scratch, c->stream) != CUBLAS_STATUS_SUCCESS)
        return error(GRAFT_INTERNAL, "cuBLASLt refused a product of %lld x %lld x %lld", (long long)g.m, (long long)g.n,
                     (long long)g.k);
    *taken = true;
    return nullptr;
}

}  // namespace

bool gemm_cublaslt_is_there() { return library().found; }

graft_status* gemm_cublaslt(graft_context* c, const Gemm& g, Carver workspace, bool* taken) {
    *taken = false;
    if (!library().found || g.bias || g.type != GRAFT_BF16) return nullptr;
    Gemm whole = g;
    whole.rank = 0;
    if (g.rank == 0) return multiply(c, whole, workspace, taken);
    if (continues(g.a, g.a2, g.k, g.layout != Layout::TN) && continues(g.b, g.b2, g.k, g.layout == Layout::NT)) {
        whole.k += g.rank;  // augmented K
        return multiply(c, whole, workspace, taken);
    }
    Gemm tail = whole;
    tail.k = g.rank;
    tail.a = g.a2;
    tail.b = g.b2;
    GRAFT_TRY(multiply(c, tail, workspace, taken));
    if (!*taken) return nullptr;
    whole.accumulate = true;
    GRAFT_TRY(multiply(c, whole, workspace, taken));
    return *taken ? nullptr : error(GRAFT_INTERNAL, "cuBLASLt took the tail of a product and not the rest");
}

}  // namespace graft::cuda

#else

namespace graft::cuda {
bool gemm_cublaslt_is_there() { return false; }
graft_status* gemm_cublaslt(graft_context*, const Gemm&, Carver, bool* taken) {
    *taken = false;
    return nullptr;
}
}  // namespace graft::cuda

#endif

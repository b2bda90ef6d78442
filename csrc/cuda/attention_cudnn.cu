// The forward pass of attention by cuDNN, where GRAFT_CUDA_ATTENTION asks for it: the
// products, mask and softmax are described to it operation by operation, and it finds a
// kernel that does them at once. What it does not take goes to our own kernel, and so
// does the backward pass: on sm_90 its kernels that always give the same bits hold all
// scores in memory, 2 bytes · heads · tokens² for each sequence.
#include <map>
#include <memory>

#include "attention.cuh"
#include "cudnn.cuh"

namespace graft::cuda {
namespace {

using cudnn::Descriptor;
using cudnn::Graph;
using Shape = AttentionShape;

// The pointers of a call, in the order in which describe() introduces them.
enum Input { kQOffsets, kKOffsets, kVOffsets, kOOffsets, kLseOffsets, kQLengths, kKLengths, kQ, kK, kV, kO, kLse, kScale, kNothing, kWindow, kInputs };

// Sequences of a packed list are batches that begin at offsets, in elements, and end
// early; any of them may be as long as the list.
void describe(Graph& g, const Shape& s) {
    using namespace cudnn;
    const int64_t n = s.sequences, t = s.tokens;
    const Descriptor* starts[5];
    for (auto& at : starts) at = g.input(kInt64, {n + 1, 1, 1, 1}, {1, 1, 1, 1}).tensor;
    const auto q_length = g.input(kInt32, {n, 1, 1, 1}, {1, 1, 1, 1}), k_length = g.input(kInt32, {n, 1, 1, 1}, {1, 1, 1, 1});
    const auto q = g.input(kBf16, {n, s.heads, t, s.dim}, {t * s.q_pitch, s.dim, s.q_pitch, 1}, starts[kQOffsets]);
    const auto k = g.input(kBf16, {n, s.kv_heads, s.dim, t}, {t * s.k_pitch, s.dim, 1, s.k_pitch}, starts[kKOffsets]);
    const auto v = g.input(kBf16, {n, s.kv_heads, t, s.dim}, {t * s.v_pitch, s.dim, s.v_pitch, 1}, starts[kVOffsets]);
    const auto o = g.input(kBf16, {n, s.heads, t, s.dim}, {t * s.o_pitch, s.dim, s.o_pitch, 1}, starts[kOOffsets]);
    const auto lse = g.input(kFloat, {n, s.heads, t, 1}, {t * s.heads, 1, s.heads, 1}, starts[kLseOffsets]);
    const auto scale = g.scalar(kFloat), nothing = g.scalar(kFloat);

    auto z = g.pointwise(kMul, g.matmul(q, k, &q_length, &k_length, nullptr), &scale, nullptr, kFloat, kFloat);
    const auto in_q = g.pointwise(kLess, g.index(z, 2, kInt32), &q_length, nullptr, kBoolean, kBoolean);
    const auto in_k = g.pointwise(kLess, g.index(z, 3, kInt32), &k_length, nullptr, kBoolean, kBoolean);
    const auto inside = g.pointwise(kAnd, in_q, &in_k, nullptr, kBoolean, kBoolean);
    z = g.pointwise(kSelect, z, &nothing, &inside, kFloat, kFloat);
    if (s.causal) {
        const auto row = g.index(z, 2, kFloat), key = g.index(z, 3, kFloat);
        const auto seen = g.pointwise(kNotLess, row, &key, nullptr, kBoolean, kBoolean);
        z = g.pointwise(kSelect, z, &nothing, &seen, kFloat, kFloat);
    }
    if (s.window > 0) {
        const auto window = g.scalar(kFloat), row = g.index(z, 2, kFloat);
        const auto reach = g.pointwise(kAdd, g.index(z, 3, kFloat), &window, nullptr, kFloat, kFloat);
        const auto seen = g.pointwise(kGreater, reach, &row, nullptr, kBoolean, kBoolean);
        z = g.pointwise(kSelect, z, &nothing, &seen, kFloat, kFloat);
    }
    const auto top = g.reduce(kReduceMax, z);
    const auto weights = g.pointwise(kExp, g.pointwise(kSub, z, &top, nullptr, kFloat, kFloat), nullptr, nullptr, kFloat, kFloat);
    const auto mass = g.reduce(kReduceAdd, weights);
    const auto log = g.pointwise(kLog, mass, nullptr, nullptr, kFloat, kFloat);
    g.pointwise(kAdd, top, &log, nullptr, kFloat, kFloat, &lse);
    g.matmul(g.pointwise(kDiv, weights, &mass, nullptr, kBf16, kFloat), v, &q_length, nullptr, &k_length, &o);
}

struct Plan {
    Graph graph;
    std::unique_ptr<Descriptor> plan;  // none: refused
    int64_t workspace = 0;
    std::string refused;
};

// A plan is made once for each shape and kept, with its reason where cuDNN has none.
struct State {
    cudnn::Handle handle = nullptr;
    std::map<Shape, Plan> plans;
    ~State() {
        plans.clear();
        if (handle) cudnn::library().Destroy(handle);
    }
};

struct Lists {
    const int32_t* cu;
    int64_t* offsets[5];
    int64_t pitches[5];
    int32_t* lengths;
    int sequences;
    __device__ void operator()(int64_t, int64_t i) const {
        for (int j = 0; j < 5; ++j) offsets[j][i] = cu[i] * pitches[j];
        if (i < sequences) lengths[i] = cu[i + 1] - cu[i];
    }
};

Plan make_plan(const Shape& s, cudnn::Handle handle, const Descriptor* properties, int64_t workspace) {
    Plan p;
    try {
        describe(p.graph, s);
        p.plan = std::make_unique<Descriptor>(p.graph.plan(handle, properties, workspace, &p.workspace));
    } catch (const cudnn::Refused& refused) {
        p.refused = refused.what();
    }
    return p;
}

const char* refuse(const Attention<bf16>& p, const graft_attention_args* a) {
    if (!cudnn::library().missing.empty()) return cudnn::library().missing.c_str();
    if (p.keys || p.prefix > 0 || p.cap > 0.0f) return "a cache, a prefix or a cap of the scores";
    if (p.dim > 128 || p.dim % 8) return "heads of more than 128, or not of whole 16 bytes";
    for (const graft_tensor* t : {&a->q, &a->k, &a->v, &a->o})
        if (!packs(*t, 8)) return "rows that do not begin at 16 bytes";
    return reinterpret_cast<uintptr_t>(a->lse.data) % 16 ? "lse does not begin at 16 bytes" : nullptr;
}

graft_status* execute(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a, const Plan& plan, State* state,
                      Carver workspace) {
    const cudnn::Library& library = cudnn::library();
    Lists lists{p.cu, {}, {p.q.pitch, p.k.pitch, p.v.pitch, a->o.pitch, p.heads}, workspace.take<int32_t>(p.sequences), p.sequences};
    for (int64_t*& offsets : lists.offsets) offsets = workspace.take<int64_t>(p.sequences + 1);
    void* scratch = workspace.take<char>(plan.workspace);
    GRAFT_TRY(workspace.check("workspace"));
    for_each<1>(c, lists, 1, p.sequences + 1);
    float scale = p.scale, nothing = -INFINITY, window = float(p.window);
    const void* pointers[kInputs] = {lists.offsets[0], lists.offsets[1], lists.offsets[2], lists.offsets[3], lists.offsets[4],
                                     lists.lengths, lists.lengths, a->q.data, a->k.data, a->v.data, a->o.data, a->lse.data,
                                     &scale, &nothing, &window};
    int64_t numbers[kInputs];
    for (int64_t i = 0; i < kInputs; ++i) numbers[i] = i;
    try {
        enum { kNumbers = 1000, kPointers = 1001, kWorkspace = 1003 };
        Descriptor pack(cudnn::kVariantPack);
        pack.set(kNumbers, cudnn::kTypeInt64, plan.graph.inputs(), numbers).set(kPointers, cudnn::kTypePointer, plan.graph.inputs(), pointers);
        pack.set(kWorkspace, cudnn::kTypePointer, 1, &scratch).finalise("pointers");
        library.check(library.SetStream(state->handle, c->stream), "stream");
        library.check(library.BackendExecute(state->handle, plan.plan->raw(), pack.raw()), "execution");
    } catch (const cudnn::Refused& failed) {
        return error(GRAFT_INTERNAL, "cuDNN %s: attention: %s", library.version.c_str(), failed.what());
    }
    return launched();
}

}  // namespace

graft_status* attention_cudnn(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a, const char** refused) {
    *refused = refuse(p, a);
    if (*refused) return nullptr;
    if (!c->cudnn) {
        auto state = std::make_unique<State>();
        if (cudnn::library().Create(&state->handle) != 0) {
            *refused = "no handle of cuDNN";
            return nullptr;
        }
        c->cudnn = state.release();
        c->cudnn_destroy = [](void* s) { delete static_cast<State*>(s); };
    }
    State* state = static_cast<State*>(c->cudnn);
    const Shape shape{p.q.rows, p.sequences, p.heads, p.kv_heads, p.dim, p.window, p.q.pitch, p.k.pitch, p.v.pitch, a->o.pitch, p.causal};
    Carver workspace(*c);
    const int64_t lists = 64 * (int64_t(p.sequences) + 8);  // more than what execute takes beside the scratch
    auto at = state->plans.find(shape);
    if (at == state->plans.end()) {
        if (c->capturing) return error(GRAFT_INTERNAL, "attention: cuDNN makes its plans before a recording");
        at = state->plans.emplace(shape, make_plan(shape, state->handle, nullptr, workspace.left() - lists)).first;
    }
    const Plan& plan = at->second;
    if (!plan.plan) {
        *refused = plan.refused.c_str();
        return nullptr;
    }
    return execute(c, p, a, plan, state, workspace);
}

std::string attention_cudnn_without_device(const std::string& properties, const AttentionShape& s, int64_t* workspace) {
    if (!cudnn::library().missing.empty()) return cudnn::library().missing;
    try {
        Descriptor device(cudnn::kDeviceProperties);
        constexpr int kJson = 2702;
        device.set(kJson, cudnn::kTypeChar, int64_t(properties.size()), properties.data()).finalise("device properties");
        const Plan plan = make_plan(s, nullptr, &device, INT64_MAX);
        *workspace = plan.workspace;
        return plan.refused;
    } catch (const cudnn::Refused& refused) {
        return refused.what();
    }
}

}  // namespace graft::cuda

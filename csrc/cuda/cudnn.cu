// cuDNN, opened at run time: a machine without it runs on our own kernels.
#include "cudnn.cuh"

#include <dlfcn.h>

#include <algorithm>

namespace graft::cuda::cudnn {
namespace {

// Attributes, by the descriptor they belong to.
namespace of_pointwise { enum { kMode = 0, kMath = 1, kAxis = 9, kDescriptor = 750, kX, kB, kY, kT = 758 }; }
namespace of_reduction { enum { kMode = 1600, kMath = 1601, kX = 1610, kY, kDescriptor }; }
namespace of_matmul { enum { kMath = 1500, kA = 1520, kB, kC, kDescriptor, kRows = 1525, kColumns, kDepth }; }
namespace of_tensor { enum { kAlignment = 900, kData, kShape, kStrides, kNumber = 906, kVirtual, kByValue, kRagged = 913 }; }
namespace of_graph { enum { kHandle = 800, kOperations }; }
namespace of_heuristics { enum { kMode = 200, kGraph, kResults, kProperties = 204 }; }
namespace of_config { enum { kEngine = 300 }; }
namespace of_engine { enum { kNotes = 1303 }; }
namespace of_plan { enum { kHandle = 400, kConfig, kWorkspace, kProperties = 407 }; }

constexpr int kOldest = 91300;  // the first of CUDA 13 whose errors of attention are known to be mended
constexpr int kHeuristicA = 3, kHeuristicFallback = 2, kNondeterministic = 4;

}  // namespace

Library::Library() {
    void* file = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    if (!file) {
        missing = "libcudnn.so.9 is not found";
        return;
    }
    auto get = [&](auto& function, const char* name) {
        function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(file, name));
        if (!function && missing.empty()) missing = std::string("libcudnn.so.9 has no ") + name;
    };
#define GRAFT_CUDNN(name) get(name, "cudnn" #name)
    GRAFT_CUDNN(GetVersion);
    GRAFT_CUDNN(GetLastErrorString);
    GRAFT_CUDNN(Create);
    GRAFT_CUDNN(Destroy);
    GRAFT_CUDNN(SetStream);
    GRAFT_CUDNN(BackendCreateDescriptor);
    GRAFT_CUDNN(BackendDestroyDescriptor);
    GRAFT_CUDNN(BackendSetAttribute);
    GRAFT_CUDNN(BackendGetAttribute);
    GRAFT_CUDNN(BackendFinalize);
    GRAFT_CUDNN(BackendExecute);
#undef GRAFT_CUDNN
    if (!missing.empty()) return;
    const int v = int(GetVersion());
    version = std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
    if (v < kOldest || v >= 100000) missing = "version " + version + ", 9.13 or later of 9 is needed";
}

const Library& library() {
    static const Library instance;
    return instance;
}

void Library::check(int status, const char* what) const {
    if (status == 0) return;
    char text[256] = "";
    GetLastErrorString(text, sizeof text);
    throw Refused(std::string(what) + ": status " + std::to_string(status) + (*text ? ", " : "") + text);
}

const Descriptor* Graph::keep(Descriptor&& d) {
    kept_.push_back(std::make_unique<Descriptor>(std::move(d)));
    return kept_.back().get();
}

Graph::Value Graph::input(Data type, const Shape& shape, const Shape& strides, const Descriptor* ragged, bool by_value) {
    using namespace of_tensor;
    Descriptor d(kTensor);
    d.set(kData, kTypeData, type).set(kShape, shape).set(kStrides, strides).set(kNumber, inputs_++).set(kAlignment, int64_t(16));
    if (ragged) d.set(kRagged, *ragged);
    if (by_value) d.set(kByValue, true);
    return {shape, keep(d.finalise("tensor"))};
}

Graph::Value Graph::inner(Data type, const Shape& s) {
    using namespace of_tensor;
    Descriptor d(kTensor);
    d.set(kData, kTypeData, type).set(kShape, s).set(kStrides, {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1}).set(kNumber, inner_++);
    return {s, keep(d.set(kAlignment, int64_t(16)).set(kVirtual, true).finalise("tensor"))};
}

void Graph::append(Descriptor& operation, Descriptor& how, int attribute) {
    operation.set(attribute, *keep(how.finalise("kind of an operation")));
    operations_.push_back(keep(operation.finalise("operation"))->raw());
}

Graph::Value Graph::pointwise(Mode mode, const Value& x, const Value* b, const Value* t, Data type, Data math, const Value* y) {
    using namespace of_pointwise;
    const Value result = y ? *y : inner(type, x.shape);
    Descriptor how(kPointwise), operation(kPointwiseOperation);
    how.set(kMode, kTypePointwise, mode).set(kMath, kTypeData, math);
    operation.set(kX, *x.tensor).set(kY, *result.tensor);
    if (b) operation.set(kB, *b->tensor);
    if (t) operation.set(kT, *t->tensor);
    append(operation, how, kDescriptor);
    return result;
}

Graph::Value Graph::index(const Value& x, int64_t axis, Data math) {
    using namespace of_pointwise;
    const Value result = inner(kInt32, x.shape);
    Descriptor how(kPointwise), operation(kPointwiseOperation);
    how.set(kMode, kTypePointwise, kIndex).set(kMath, kTypeData, math).set(kAxis, axis);
    append(operation.set(kX, *x.tensor).set(kY, *result.tensor), how, kDescriptor);
    return result;
}

Graph::Value Graph::reduce(Reduce mode, const Value& x) {
    using namespace of_reduction;
    const Value result = inner(kFloat, {x.shape[0], x.shape[1], x.shape[2], 1});
    Descriptor how(kReduction), operation(kReductionOperation);
    how.set(kMode, kTypeReduction, mode).set(kMath, kTypeData, kFloat);
    append(operation.set(kX, *x.tensor).set(kY, *result.tensor), how, kDescriptor);
    return result;
}

Graph::Value Graph::matmul(const Value& a, const Value& b, const Value* m, const Value* n, const Value* k, const Value* c) {
    using namespace of_matmul;
    const Value result = c ? *c : inner(kFloat, {a.shape[0], a.shape[1], a.shape[2], b.shape[3]});
    Descriptor how(kMatmul), operation(kMatmulOperation);
    how.set(kMath, kTypeData, kFloat);
    operation.set(kA, *a.tensor).set(kB, *b.tensor).set(kC, *result.tensor);
    if (m) operation.set(kRows, *m->tensor);
    if (n) operation.set(kColumns, *n->tensor);
    if (k) operation.set(kDepth, *k->tensor);
    append(operation, how, kDescriptor);
    return result;
}

Descriptor Graph::try_plan(const Descriptor& config, Handle handle, const Descriptor* properties, int64_t workspace_bytes, int64_t* needed) {
    const Descriptor engine(kEngine);
    Raw raw = engine.raw();
    config.get(of_config::kEngine, kTypeDescriptor, 1, &raw);
    int notes[32];
    const int64_t noted = engine.get(of_engine::kNotes, kTypeNote, 32, notes);
    if (std::find(notes, notes + noted, kNondeterministic) != notes + noted) throw Refused("its engine gives other bits each time");
    Descriptor plan(kExecutionPlan);
    plan.set(of_plan::kConfig, config);
    if (properties) plan.set(of_plan::kProperties, *properties);
    else plan.set(of_plan::kHandle, kTypeHandle, 1, &handle);
    plan.finalise("plan").get(of_plan::kWorkspace, kTypeInt64, 1, needed);
    if (*needed > workspace_bytes)
        throw Refused(std::to_string(*needed) + " bytes of workspace are needed, " + std::to_string(workspace_bytes) + " are there");
    return plan;
}

Descriptor Graph::plan(Handle handle, const Descriptor* properties, int64_t workspace_bytes, int64_t* needed) {
    Descriptor made(kOperationGraph);
    made.set(of_graph::kOperations, kTypeDescriptor, int64_t(operations_.size()), operations_.data());
    if (!properties) made.set(of_graph::kHandle, kTypeHandle, 1, &handle);
    const Descriptor* graph = keep(made.finalise("graph"));
    std::string why = "no engine takes this graph";
    for (int mode : {kHeuristicA, kHeuristicFallback}) {
        constexpr int kMost = 8;
        Descriptor heuristics(kEngineHeuristics);
        const Descriptor* configs[kMost];
        Raw raws[kMost];
        int64_t count = 0;
        for (int i = 0; i < kMost; ++i) raws[i] = (configs[i] = keep(Descriptor(kEngineConfig)))->raw();
        heuristics.set(of_heuristics::kGraph, *graph).set(of_heuristics::kMode, kTypeHeuristic, mode);
        if (properties) heuristics.set(of_heuristics::kProperties, *properties);
        try {
            count = heuristics.finalise("choice of an engine").get(of_heuristics::kResults, kTypeDescriptor, kMost, raws);
        } catch (const Refused& refused) {
            why = refused.what();
        }
        for (int64_t i = 0; i < count; ++i) try {
                return try_plan(*configs[i], handle, properties, workspace_bytes, needed);
            } catch (const Refused& refused) {
                why = refused.what();
            }
    }
    throw Refused(why);
}

}  // namespace graft::cuda::cudnn

// cuDNN's backend interface, opened at run time: descriptors that own what they
// hold, and operations over tensors. The numbers are those of cudnn_graph.h and
// cudnn_ops.h of cuDNN 9.28, which all of cuDNN 9 shares.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "portable.cuh"

namespace graft::cuda::cudnn {

using Handle = void*;
using Raw = void*;  // a descriptor

enum Kind : int { kPointwise = 0, kEngineHeuristics = 4, kEngineConfig = 3, kEngine = 2, kExecutionPlan = 5, kPointwiseOperation = 13,
                  kOperationGraph = 15, kVariantPack = 16, kTensor = 17, kMatmul = 18, kMatmulOperation = 19, kReduction = 21,
                  kReductionOperation = 22, kDeviceProperties = 38 };
enum Type : int { kTypeHandle = 0, kTypeData = 1, kTypeBool = 2, kTypeInt64 = 3, kTypeDouble = 5, kTypePointer = 6, kTypeHeuristic = 8,
                  kTypeNote = 11, kTypePointwise = 14, kTypeDescriptor = 15, kTypeReduction = 18, kTypeChar = 24 };
enum Data : int { kFloat = 0, kInt32 = 4, kBf16 = 9, kInt64 = 10, kBoolean = 11 };
enum Mode : int { kAdd = 0, kMul = 1, kDiv = 6, kSub = 9, kExp = 13, kLog = 15, kGreater = 302, kNotLess = 303, kLess = 304, kAnd = 400,
                  kIndex = 501, kSelect = 601 };
enum Reduce : int { kReduceAdd = 0, kReduceMax = 3 };

// What cuDNN does not do, with its own reason where it gave one.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Library {
    size_t (*GetVersion)() = nullptr;
    void (*GetLastErrorString)(char*, size_t) = nullptr;
    int (*Create)(Handle*) = nullptr;
    int (*Destroy)(Handle) = nullptr;
    int (*SetStream)(Handle, cudaStream_t) = nullptr;
    int (*BackendCreateDescriptor)(int, Raw*) = nullptr;
    int (*BackendDestroyDescriptor)(Raw) = nullptr;
    int (*BackendSetAttribute)(Raw, int, int, int64_t, const void*) = nullptr;
    int (*BackendGetAttribute)(Raw, int, int, int64_t, int64_t*, void*) = nullptr;
    int (*BackendFinalize)(Raw) = nullptr;
    int (*BackendExecute)(Handle, Raw, Raw) = nullptr;
    std::string missing;  // why it cannot be used; "" where it can
    std::string version;  // "9.28.1"

    Library();
    void check(int status, const char* what) const;  // throws Refused
};
const Library& library();

class Descriptor {
  public:
    explicit Descriptor(Kind kind) { library().check(library().BackendCreateDescriptor(kind, &raw_), "descriptor"); }
    Descriptor(Descriptor&& other) noexcept : raw_(other.raw_) { other.raw_ = nullptr; }
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (raw_) library().BackendDestroyDescriptor(raw_);
    }
    Raw raw() const { return raw_; }

    Descriptor& set(int attribute, Type type, int64_t count, const void* values) {
        library().check(library().BackendSetAttribute(raw_, attribute, type, count, values), ("attribute " + std::to_string(attribute)).c_str());
        return *this;
    }
    Descriptor& set(int attribute, const Descriptor& d) { return set(attribute, kTypeDescriptor, 1, &d.raw_); }
    Descriptor& set(int attribute, Type type, int value) { return set(attribute, type, 1, &value); }
    Descriptor& set(int attribute, int64_t value) { return set(attribute, kTypeInt64, 1, &value); }
    Descriptor& set(int attribute, bool value) { return set(attribute, kTypeBool, 1, &value); }
    Descriptor& set(int attribute, const std::vector<int64_t>& list) { return set(attribute, kTypeInt64, int64_t(list.size()), list.data()); }
    // How many values were written, at most `count`.
    int64_t get(int attribute, Type type, int64_t count, void* values) const {
        int64_t written = 0;
        library().check(library().BackendGetAttribute(raw_, attribute, type, count, &written, values), "attribute of a result");
        return written;
    }
    Descriptor&& finalise(const char* what) {
        library().check(library().BackendFinalize(raw_), what);
        return std::move(*this);
    }

  private:
    Raw raw_ = nullptr;
};

// Operations over tensors of four dimensions, in the order in which they were added.
// Tensors that a pointer is given to at each execution have the numbers 0, 1, .. in
// the order of input(); the others exist inside a kernel alone.
class Graph {
  public:
    using Shape = std::vector<int64_t>;
    struct Value {
        Shape shape;
        const Descriptor* tensor;
    };
    Value input(Data type, const Shape& shape, const Shape& strides, const Descriptor* ragged = nullptr, bool by_value = false);
    Value scalar(Data type) { return input(type, {1, 1, 1, 1}, {1, 1, 1, 1}, nullptr, true); }
    // y = mode(x, b), or of a mask t ? x : b; of the shape of x. type is that of y, math that of the computation.
    Value pointwise(Mode mode, const Value& x, const Value* b, const Value* t, Data type, Data math, const Value* y = nullptr);
    Value index(const Value& x, int64_t axis, Data math);
    Value reduce(Reduce mode, const Value& x);  // over the last dimension
    // c = a·b over rows m, columns n and depth k that end earlier in some batches.
    Value matmul(const Value& a, const Value& b, const Value* m, const Value* n, const Value* k, const Value* c = nullptr);

    int64_t inputs() const { return inputs_; }
    // A plan of the first engine that takes the graph, always gives the same bits and is
    // content with the workspace. With properties no device is asked, and the handle is not
    // used. The graph must live as long as the plan.
    Descriptor plan(Handle handle, const Descriptor* properties, int64_t workspace_bytes, int64_t* needed);

  private:
    Descriptor try_plan(const Descriptor& config, Handle handle, const Descriptor* properties, int64_t workspace_bytes, int64_t* needed);
    void append(Descriptor& operation, Descriptor& how, int attribute);
    Value inner(Data type, const Shape& shape);
    const Descriptor* keep(Descriptor&& d);
    std::vector<std::unique_ptr<Descriptor>> kept_;
    std::vector<Raw> operations_;
    int64_t inputs_ = 0, inner_ = 1000;
};

}  // namespace graft::cuda::cudnn

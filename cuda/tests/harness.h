// Runs one case on the table of functions: on the host emulation in every thread
// order with asynchronous work landing at once or as late as allowed, on a GPU
// `repeats` times. All runs must agree bit for bit, and with a reference in
// double within the tolerance.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../../csrc/include/graft/graft.h"
#if defined(GRAFT_SHIM)
#include "../shim/scheduler.h"
#endif

namespace test {

inline const graft_api& api() { return *graft_cuda_api(); }

struct Summary {
    int cases = 0, runs = 0, wrong = 0, disagreeing = 0, failed = 0;
    std::string first_failure;
    void fail(const std::string& text) {
        ++failed;
        if (first_failure.empty()) first_failure = text;
    }
};
inline Summary& summary() {
    static Summary instance;
    return instance;
}

// The message of a status, freed; "" for success.
inline std::string text(graft_status* status) {
    if (!status) return "";
    const std::string message = api().status_message(status);
    api().status_free(status);
    return message;
}

// ---- element types ------------------------------------------------------------

inline uint16_t bf16_bits(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return std::isnan(x) ? 0x7fff : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float bf16_value(uint16_t bits) {
    const uint32_t wide = uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &wide, 4);
    return x;
}
inline int64_t size_of(int32_t type) { return type == GRAFT_BF16 ? 2 : type == GRAFT_U8 ? 1 : 4; }
inline double rounded(int32_t type, double x) {
    return type == GRAFT_BF16 ? double(bf16_value(bf16_bits(float(x)))) : double(float(x));
}

// ---- memory ---------------------------------------------------------------------

// A matrix on the host; values are what the element type holds.
struct Array {
    int32_t type = GRAFT_F32;
    int64_t rows = 0, cols = 0;
    std::vector<double> values;

    Array() = default;
    Array(int32_t type, int64_t rows, int64_t cols, const std::function<double(int64_t)>& value)
        : type(type), rows(rows), cols(cols) {
        for (int64_t i = 0; i < rows * cols; ++i)
            values.push_back(type == GRAFT_F32 || type == GRAFT_BF16 ? rounded(type, value(i)) : value(i));
    }
    double at(int64_t row, int64_t col) const { return values[size_t(row * cols + col)]; }
};

inline Array normal(int32_t type, int64_t rows, int64_t cols, unsigned seed, double scale = 1.0) {
    std::mt19937 engine(seed);
    std::normal_distribution<double> draw;
    return Array(type, rows, cols, [&](int64_t) { return scale * draw(engine); });
}
inline Array integers(const std::vector<int>& list) {
    return Array(GRAFT_I32, 1, int64_t(list.size()), [&](int64_t i) { return list[size_t(i)]; });
}

// The device memory of one run: a context and its tensors, released at the end.
class Run {
  public:
    explicit Run(int64_t workspace) {
        graft_context_options o{sizeof o, 0, 0, workspace, 0};
        check(api().context_create(&context_, &o));
    }
    ~Run() {
        for (auto& [data, bytes] : blocks_) api().release(context_, data, bytes);
        api().context_destroy(context_);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    void check(graft_status* status) {
        const std::string message = text(status);
        if (!message.empty() && failure_.empty()) failure_ = message;
    }
    const std::string& failure() const { return failure_; }

    graft_tensor tensor(int32_t type, int64_t rows, int64_t cols, int64_t pitch = 0) {
        if (pitch == 0) pitch = cols;
        const int64_t bytes = (rows > 0 ? (rows - 1) * pitch + cols : 0) * size_of(type);
        graft_tensor t{nullptr, type, 2, {rows, cols}, pitch};
        if (bytes == 0 || !context_) return t;
        check(api().allocate(context_, &t.data, bytes));
        blocks_.push_back({t.data, bytes});
        const std::vector<unsigned char> poison(size_t(bytes), 0xff);  // NaN in every type
        check(api().upload(context_, t.data, poison.data(), bytes));
        return t;
    }
    graft_tensor put(const Array& a, int64_t pitch = 0) {
        graft_tensor t = tensor(a.type, a.rows, a.cols, pitch);
        for (int64_t row = 0; row < a.rows && t.data; ++row) {
            std::vector<unsigned char> bytes(size_t(a.cols * size_of(a.type)));
            for (int64_t col = 0; col < a.cols; ++col) {
                const double v = a.at(row, col);
                unsigned char* to = bytes.data() + col * size_of(a.type);
                if (a.type == GRAFT_BF16) { const uint16_t b = bf16_bits(float(v)); std::memcpy(to, &b, 2); }
                else if (a.type == GRAFT_U8) *to = static_cast<unsigned char>(v);
                else if (a.type == GRAFT_I32) { const int32_t b = int32_t(v); std::memcpy(to, &b, 4); }
                else if (a.type == GRAFT_U32) { const uint32_t b = uint32_t(v); std::memcpy(to, &b, 4); }
                else { const float b = float(v); std::memcpy(to, &b, 4); }
            }
            check(api().upload(context_, static_cast<char*>(t.data) + row * t.pitch * size_of(a.type), bytes.data(), int64_t(bytes.size())));
        }
        return t;
    }
    // Appends the values of a tensor.
    void get(const graft_tensor& t, std::vector<double>* out) {
        for (int64_t row = 0; row < t.shape[0]; ++row) {
            std::vector<unsigned char> bytes(size_t(t.shape[1] * size_of(t.dtype)));
            check(api().download(context_, bytes.data(), static_cast<char*>(t.data) + row * t.pitch * size_of(t.dtype), int64_t(bytes.size())));
            for (int64_t col = 0; col < t.shape[1]; ++col) {
                const unsigned char* from = bytes.data() + col * size_of(t.dtype);
                if (t.dtype == GRAFT_BF16) { uint16_t b; std::memcpy(&b, from, 2); out->push_back(bf16_value(b)); }
                else if (t.dtype == GRAFT_U8) out->push_back(*from);
                else if (t.dtype == GRAFT_I32) { int32_t b; std::memcpy(&b, from, 4); out->push_back(b); }
                else { float b; std::memcpy(&b, from, 4); out->push_back(b); }
            }
        }
    }
    graft_context* context() const { return context_; }

  private:
    graft_context* context_ = nullptr;
    std::vector<std::pair<void*, int64_t>> blocks_;
    std::string failure_;
};

// ---- cases ------------------------------------------------------------------------

struct Case {
    std::string name;
    double tolerance;  // on max |result - reference| / max |reference|; 0: exact
    std::vector<double> reference;
    std::function<void(Run&, std::vector<double>*)> body;
    int64_t workspace = 1 << 20;
};

inline double relative_error(const std::vector<double>& result, const std::vector<double>& reference) {
    if (result.size() != reference.size()) return std::numeric_limits<double>::infinity();
    double scale = 0, error = 0;
    for (double value : reference) scale = std::max(scale, std::fabs(value));
    for (size_t i = 0; i < result.size(); ++i) {
        const double difference = std::fabs(result[i] - reference[i]);
        if (!(difference <= error)) error = difference;  // keeps NaN
        if (std::isnan(error)) break;
    }
    return error / (scale > 0 ? scale : 1);
}

inline std::string& filter() {
    static std::string part;
    return part;
}

inline void run_case(const Case& c) {
    if (c.name.find(filter()) == std::string::npos) return;
    Summary& s = summary();
    ++s.cases;
    std::vector<double> first;
    double worst = 0;
    auto once = [&] {
        std::vector<double> result;
        std::string failure;
        {
            Run run(c.workspace);
            if (run.context()) c.body(run, &result);
            failure = run.failure();
        }
        ++s.runs;
        if (!failure.empty()) return s.fail(c.name + ": " + failure);
        const double error = relative_error(result, c.reference);
        if (!(error <= c.tolerance)) ++s.wrong;
        if (!(error <= worst)) worst = error;
        if (first.empty()) first = result;
        else if (std::memcmp(first.data(), result.data(), result.size() * sizeof(double)) != 0) ++s.disagreeing;
    };
#if defined(GRAFT_SHIM)
    using graft_shim::Order;
    using graft_shim::Timing;
    const std::pair<Order, Timing> all[] = {
        {Order::kForward, Timing::kImmediate}, {Order::kReverse, Timing::kDeferred}, {Order::kRandom, Timing::kDeferred},
#if !defined(GRAFT_FEW_RUNS)  // the sanitizers and the race detector are slow, and see more than the order
        {Order::kForward, Timing::kDeferred},  {Order::kReverse, Timing::kImmediate}, {Order::kRandom, Timing::kImmediate},
#endif
    };
    for (const auto& [order, timing] : all) {
        graft_shim::config() = {order, timing, timing, 7};
        once();
    }
#else
    for (int i = 0; i < GRAFT_REPEATS; ++i) once();
#endif
    std::printf("%-44s %10.2e of %.0e\n", c.name.c_str(), worst, c.tolerance);
    std::fflush(stdout);
}

inline int report() {
    const Summary& s = summary();
    std::printf("cases %d, runs %d, wrong %d, disagreeing %d, failed %d %s\n", s.cases, s.runs, s.wrong, s.disagreeing,
                s.failed, s.first_failure.c_str());
    return s.cases == 0 ? 13 : s.wrong ? 10 : s.disagreeing ? 11 : s.failed ? 12 : 0;
}

}  // namespace test

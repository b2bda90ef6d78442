// Runs one case on the table of functions: on the host emulation in every thread
// order with asynchronous work landing at once or as late as allowed, on a GPU
// `repeats` times, and then with gaps between the rows of its tensors. All runs of a
// layout must agree bit for bit, and with a reference in double within the tolerance.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>

#include "memory.h"
#if defined(GRAFT_SHIM)
#include "../shim/scheduler.h"
#endif

namespace test {

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
    std::map<Layout, std::vector<double>> first;
    double worst = 0;
    bool follows_layout = false;
    auto once = [&](Layout layout) {
        std::vector<double> result;
        std::string failure;
        {
            Run run(c.workspace, layout);
            if (run.context()) c.body(run, &result);
            run.check_gaps();
            failure = run.failure();
            follows_layout |= run.follows_layout();
        }
        ++s.runs;
        if (!failure.empty()) return s.fail(c.name + ", " + name(layout) + ": " + failure);
        const double error = relative_error(result, c.reference);
        if (!(error <= c.tolerance)) ++s.wrong;
        if (!(error <= worst)) worst = error;
        std::vector<double>& before = first[layout];
        if (before.empty()) before = result;
        else if (std::memcmp(before.data(), result.data(), result.size() * sizeof(double)) != 0) ++s.disagreeing;
    };
#if defined(GRAFT_SHIM)
    using graft_shim::Order;
    using graft_shim::Timing;
    auto emulate = [&](Layout layout, Order order, Timing timing) {
        graft_shim::config() = {order, timing, timing, 7};
        once(layout);
    };
    emulate(Layout::kDense, Order::kForward, Timing::kImmediate);
    emulate(Layout::kDense, Order::kReverse, Timing::kDeferred);
    emulate(Layout::kDense, Order::kRandom, Timing::kDeferred);
    if (follows_layout) emulate(Layout::kOdd, Order::kReverse, Timing::kDeferred);
#if !defined(GRAFT_FEW_RUNS)  // the sanitizers and the race detector are slow, and see more than the order
    emulate(Layout::kDense, Order::kForward, Timing::kDeferred);
    emulate(Layout::kDense, Order::kReverse, Timing::kImmediate);
    emulate(Layout::kDense, Order::kRandom, Timing::kImmediate);
    if (follows_layout) {
        emulate(Layout::kOdd, Order::kForward, Timing::kImmediate);
        emulate(Layout::kAligned, Order::kForward, Timing::kDeferred);
        emulate(Layout::kAligned, Order::kReverse, Timing::kImmediate);
        setenv("GRAFT_SHIM_MEMORY", "1000000000000000", 1);  // of addresses
        emulate(Layout::kFar, Order::kForward, Timing::kDeferred);
        unsetenv("GRAFT_SHIM_MEMORY");
    }
#endif
#else
    for (int i = 0; i < GRAFT_REPEATS; ++i) once(Layout::kDense);
    for (int i = 0; i < 2 && follows_layout; ++i)
        for (const Layout layout : {Layout::kAligned, Layout::kOdd}) once(layout);
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

// What the benchmarks share: data on the device, checks against sums in double on the
// host, and the measurement. Each file of operations fills in what is moved or
// multiplied, the call, and the values of some elements.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../../csrc/cuda/context.cuh"

namespace bench {

using namespace graft::cuda;
using graft::cols;
using graft::elements;

extern graft_context* context;

// Small shapes for the emulation, which only checks.
extern bool small;
inline int64_t size(int64_t full, int64_t reduced) { return small ? reduced : full; }

bool ok(graft_status* status, const std::string& name);

struct Times {
    double median, low, high;  // seconds
};
Times measure(const std::function<void()>& work, int samples = 100);

// Elements that were looked at: the largest difference over the largest value.
class Compared {
  public:
    void add(double got, double want) {
        const double d = std::fabs(got - want);
        if (!(d <= difference_)) difference_ = d;  // keeps NaN
        if (std::fabs(want) > largest_) largest_ = std::fabs(want);
        ++count_;
    }
    double error() const { return count_ ? difference_ / (largest_ > 0 ? largest_ : 1) : INFINITY; }

  private:
    double difference_ = 0, largest_ = 0;
    int64_t count_ = 0;
};

constexpr double kBf16 = 1.0 / 64;  // of results in bf16, of sums of products of bf16
constexpr double kF32 = 1e-5;

struct Operation {
    std::string name;
    double bytes, flops;  // what bounds it; the other is 0
    std::function<graft_status*()> work;
    double tolerance;
    std::function<void(Compared&)> check;  // after one call of work
};
// Calls, checks and, if all is well, measures and prints a line.
void report(const Operation&);
void note(const std::string& text);  // a line of comment among the results
bool selected(const std::string& name);  // on the command line
void fail(const std::string& text);

// A device tensor of normal numbers times scale (integers: 0, 1, ..; bytes: any), or of
// the given values. release frees all of them.
graft_tensor tensor(int32_t type, int64_t rows, int64_t cols, double scale = 1.0);
graft_tensor floats(const std::vector<float>& values);
graft_tensor integers(const std::vector<int32_t>& values);
void release();

// A copy on the host.
class Host {
  public:
    explicit Host(const graft_tensor& t);
    double operator()(int64_t row, int64_t col) const;
    int byte(int64_t row, int64_t col) const { return bytes_[size_t(row * pitch_ + col)]; }

  private:
    std::vector<unsigned char> bytes_;
    int64_t pitch_;
    int32_t type_;
};

// `count` numbers below n, among them the first and the last.
std::vector<int64_t> some(int64_t n, int count);

void products();
void generation();
void output_layer();
void memory_bound();
void optimizers();
void attentions();
void choose_kernels();

}  // namespace bench

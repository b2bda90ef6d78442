// Tensors between canaries, poisoned before each call, and a context.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "../cpu/cpu.h"

namespace graft::test {

class Tensor {
  public:
    Tensor() = default;  // absent
    Tensor(graft_dtype type, std::vector<int64_t> shape) : type_(type) {
        n_ = 1;
        for (int64_t d : shape) n_ *= d;
        bytes_.assign(size_t(n_ * size()) + 2 * kGuard, 0xff);  // NaN in every float type
        std::memset(bytes_.data(), 0x5a, kGuard);
        std::memset(bytes_.data() + kGuard + n_ * size(), 0x5a, kGuard);
        t_ = {bytes_.data() + kGuard, type, int32_t(shape.size()), {}, 1};
        for (size_t i = 0; i < shape.size(); i++) t_.shape[i] = shape[i];
        t_.pitch = graft::cols(t_);
    }
    Tensor(const Tensor& o) { *this = o; }
    Tensor& operator=(const Tensor& o) {
        type_ = o.type_, n_ = o.n_, bytes_ = o.bytes_, t_ = o.t_;
        if (t_.data) t_.data = bytes_.data() + kGuard;
        return *this;
    }

    int64_t len() const { return n_; }
    operator graft_tensor() const { return t_; }
    double operator[](int64_t i) const {
        const char* p = static_cast<const char*>(t_.data) + i * size();
        if (type_ == GRAFT_U8) return *reinterpret_cast<const uint8_t*>(p);
        if (type_ == GRAFT_I32) return *reinterpret_cast<const int32_t*>(p);
        if (type_ == GRAFT_BF16) return double(cpu::widen(*reinterpret_cast<const cpu::bf16*>(p)));
        return double(*reinterpret_cast<const float*>(p));
    }
    void set(int64_t i, double v) {
        char* p = static_cast<char*>(t_.data) + i * size();
        if (type_ == GRAFT_U8) *reinterpret_cast<uint8_t*>(p) = uint8_t(v);
        else if (type_ == GRAFT_I32 || type_ == GRAFT_U32) *reinterpret_cast<int32_t*>(p) = int32_t(v);
        else if (type_ == GRAFT_BF16) *reinterpret_cast<cpu::bf16*>(p) = cpu::to_bf16(float(v));
        else *reinterpret_cast<float*>(p) = float(v);
    }
    Tensor& normal(unsigned seed, double scale = 1) {
        std::mt19937 engine(seed);
        std::normal_distribution<double> next(0, scale);
        for (int64_t i = 0; i < n_; i++) set(i, next(engine));
        return *this;
    }
    Tensor& fill(double v) {
        for (int64_t i = 0; i < n_; i++) set(i, v);
        return *this;
    }
    Tensor& values(std::vector<double> v) {
        for (size_t i = 0; i < v.size(); i++) set(int64_t(i), v[i]);
        return *this;
    }
    std::vector<double> all() const {
        std::vector<double> v;
        for (int64_t i = 0; i < n_; i++) v.push_back((*this)[i]);
        return v;
    }
    bool operator==(const Tensor& o) const { return bytes_ == o.bytes_; }  // bit for bit
    // Within relative·|want| + absolute of what was expected, and nothing written around it.
    void expect(const std::vector<double>& want, double relative, double absolute, const char* what) const {
        expect(want, relative, std::vector<double>(want.size(), absolute), what);
    }
    void expect(const std::vector<double>& want, double relative, const std::vector<double>& absolute, const char* what) const {
        ASSERT_EQ(size_t(n_), want.size()) << what;
        for (int64_t i = 0; i < n_; i++) {
            const double got = (*this)[i], limit = relative * std::fabs(want[size_t(i)]) + absolute[size_t(i)];
            if (!(std::fabs(got - want[size_t(i)]) <= limit) && !(got == want[size_t(i)])) {
                FAIL() << what << "[" << i << "] is " << got << ", expected " << want[size_t(i)] << " within " << limit;
            }
        }
        for (size_t i = 0; i < kGuard; i++) {
            ASSERT_EQ(bytes_[i], 0x5a) << what << ": written before its start";
            ASSERT_EQ(bytes_[bytes_.size() - 1 - i], 0x5a) << what << ": written behind its end";
        }
    }

  private:
    static constexpr size_t kGuard = 64;
    int64_t size() const { return type_ == GRAFT_BF16 ? 2 : type_ == GRAFT_U8 ? 1 : 4; }
    graft_dtype type_ = GRAFT_F32;
    int64_t n_ = 0;
    std::vector<uint8_t> bytes_;
    graft_tensor t_ = {};
};

// Rounding of a result to its type: half a unit of bf16, or of f32.
inline double unit(graft_dtype type) { return type == GRAFT_BF16 ? 1.0 / 256 : 1.2e-7; }

class Context {
  public:
    explicit Context(int threads, int64_t workspace = 4 << 20) {
        graft_context_options o = {sizeof o, 0, threads, workspace, 0};
        graft_status* status = graft_cpu_api()->context_create(&context_, &o);
        if (status) throw std::runtime_error(status->message);
    }
    ~Context() { graft_cpu_api()->context_destroy(context_); }
    operator graft_context*() const { return context_; }

  private:
    graft_context* context_ = nullptr;
};

inline void expect_ok(graft_status* status) {
    EXPECT_EQ(status, nullptr) << status->message;
    graft_cpu_api()->status_free(status);
}
inline void expect_code(graft_status* status, graft_code code, const char* text) {
    ASSERT_NE(status, nullptr);
    EXPECT_EQ(status->code, code);
    EXPECT_NE(status->message.find(text), std::string::npos) << status->message;
    graft_cpu_api()->status_free(status);
}

}  // namespace graft::test

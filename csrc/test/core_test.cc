// The pool, the workspace, and the vector functions.
#include <atomic>
#include <limits>

#include "../cpu/simd.h"
#include "test.h"

#define GRAFT_KERNELS "../test/exp_body.h"
#include "../cpu/each_isa.h"
#undef GRAFT_KERNELS

namespace graft::test {
namespace {

double ulps(float got, double want) {
    if (double(got) == want || (std::isnan(got) && std::isnan(want))) return 0;
    const double size = std::max(std::fabs(want), double(std::numeric_limits<float>::min()));
    return std::fabs(double(got) - want) / std::ldexp(1.0, std::ilogb(size) - 23);
}

TEST(Vector, FunctionsAreAccurate) {
    const Context context(1);
    graft_context* c = context;
    std::vector<float> x;
    for (double v = -110; v < 90; v += 0.00137) x.push_back(float(v));
    for (double v = 1e-30; v < 30; v *= 1.01) x.push_back(float(v)), x.push_back(float(-v));
    const size_t finite = x.size();
    for (float v : {HUGE_VALF, -HUGE_VALF, NAN, 0.0f, -0.0f}) x.push_back(v);
    std::vector<float> e(x.size()), t(x.size()), root(x.size());
    GRAFT_DISPATCH(c, functions, e.data(), t.data(), root.data(), x.data(), int64_t(x.size()));
    double worst_exp = 0, worst_tanh = 0;
    for (size_t i = 0; i < finite; i++) {
        const double want = std::exp(double(x[i]));
        if (want < 3.4028235e38) worst_exp = std::max(worst_exp, ulps(e[i], want));
        if (want >= 3.4028236e38) {
            EXPECT_EQ(e[i], HUGE_VALF) << x[i];
        }
        if (std::fabs(x[i]) < 40) worst_tanh = std::max(worst_tanh, ulps(t[i], std::tanh(double(x[i]))));
        if (x[i] > 0) {
            EXPECT_EQ(root[i], std::sqrt(x[i]));
        }
    }
    EXPECT_LE(worst_exp, 2);
    EXPECT_LE(worst_tanh, 8);
    const float* special = e.data() + finite;
    EXPECT_EQ(special[0], HUGE_VALF);
    EXPECT_EQ(special[1], 0);
    EXPECT_TRUE(std::isnan(special[2]));
    EXPECT_EQ(special[3], 1);
    EXPECT_EQ(t[finite], 1);
    EXPECT_EQ(t[finite + 1], -1);
    EXPECT_TRUE(std::isnan(t[finite + 2]));
}

// Every pattern of 16 upper bits, with lower bits on both sides of a tie.
TEST(Vector, CastsRoundAsOneByOne) {
    const Context context(2);
    std::vector<float> values;
    for (uint32_t high = 0; high < 0x10000; high++)
        for (uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
            const uint32_t bits = high << 16 | low;
            float f;
            std::memcpy(&f, &bits, 4);
            values.push_back(f);
        }
    Tensor from(GRAFT_F32, {int64_t(values.size())}), to(GRAFT_BF16, {int64_t(values.size())});
    std::memcpy(graft_tensor(from).data, values.data(), values.size() * 4);
    const graft_cast_args a = {to, from};
    expect_ok(graft_cpu_api()->cast(context, &a));
    for (size_t i = 0; i < values.size(); i++) {
        const double got = to[int64_t(i)], v = double(values[i]);
        if (std::isnan(v)) {
            ASSERT_TRUE(std::isnan(got)) << i;
            continue;
        }
        // Nearest even, by the neighbours on the grid of bf16.
        ASSERT_EQ(got, double(cpu::widen(cpu::to_bf16(values[i]))));
        if (std::fabs(v) < 1 && std::fabs(v) > 1e-30) {
            const double step = std::ldexp(1.0, std::ilogb(v) - 7), want = std::nearbyint(v / step) * step;
            ASSERT_EQ(got, want) << v;
        }
    }
}

TEST(Pool, RunsEveryThreadOnceAndBarriersHold) {
    for (int threads : {1, 2, 5}) {
        Pool pool(threads);
        for (int round = 0; round < 200; round++) {
            std::atomic<int> before{0}, bad{0};
            pool.run([&](int thread, int n) {
                if (n != threads || thread < 0 || thread >= n) bad++;
                before++;
                pool.barrier();
                if (before != threads) bad++;
            });
            ASSERT_EQ(before, threads);
            ASSERT_EQ(bad, 0);
        }
    }
}

TEST(ContextOptions, AreChecked) {
    graft_context* c = nullptr;
    const graft_api* api = graft_cpu_api();
    graft_context_options o = {sizeof o, 1, 1, 0, 0};
    expect_code(api->context_create(&c, &o), GRAFT_UNAVAILABLE, "cpu:1");
    o = {sizeof o, 0, -1, 0, 0};
    expect_code(api->context_create(&c, &o), GRAFT_INVALID_ARGUMENT, "-1 threads");
    o = {sizeof o, 0, 1, int64_t(1) << 60, 0};
    expect_code(api->context_create(&c, &o), GRAFT_RESOURCE_EXHAUSTED, "workspace");
    o = {4, 0, 1, 0, 0};
    expect_code(api->context_create(&c, &o), GRAFT_INVALID_ARGUMENT, "options");
    EXPECT_EQ(c, nullptr);
    void* data = nullptr;
    expect_code(api->allocate(nullptr, &data, int64_t(1) << 60), GRAFT_RESOURCE_EXHAUSTED, "bytes");
    graft_device_info info = {};
    info.struct_size = sizeof info;
    expect_ok(api->device_info(0, &info));
    EXPECT_GT(info.memory_total, 0);
    api->context_destroy(nullptr);
}

}  // namespace
}  // namespace graft::test

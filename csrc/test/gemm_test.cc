// The product against double precision on every instruction set that this
// machine has: forms, tails, bias, deep contractions, gaps between rows.
#include "../cpu/gemm.h"
#include "test.h"

namespace graft::test {
namespace {

using cpu::Form;
using cpu::kCols;
using cpu::kRows;

// A matrix of an operand [outer, contraction] in a form, its rows in memory some elements further apart than they are
// long; what lies between is NaN.
struct Stored {
    Tensor memory;
    cpu::Operand operand;
    std::vector<double> value;  // [outer][contraction], rounded to the type of the product

    Stored(graft_dtype storage, graft_dtype type, int64_t outer, int64_t contraction, Form form, unsigned seed) {
        const int64_t rows = form == kRows ? outer : contraction, width = form == kRows ? contraction : outer, ld = width + 2;
        memory = Tensor(storage, {rows, ld});
        std::mt19937 engine(seed);
        std::uniform_real_distribution<double> next(-1, 1);
        value.resize(size_t(outer * contraction));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < width; j++) {
                memory.set(i * ld + j, next(engine));
                const float v = float(memory[i * ld + j]);
                value[size_t(form == kRows ? i * contraction + j : j * contraction + i)] =
                    type == GRAFT_BF16 ? double(cpu::widen(cpu::to_bf16(v))) : double(v);
            }
        operand = cpu::Operand::of(graft_tensor(memory), form);
    }
};

struct Shape {
    int64_t m, n, k;
};
constexpr int64_t kWorkspace = 40 << 20;
constexpr Shape kShapes[] = {{1, 1, 1}, {5, 33, 7}, {13, 70, 65}, {37, 129, 300}};
// Several blocks of columns and slices; several slabs; several groups of columns too.
constexpr Shape kLarge[] = {{100, 544, 600}, {3, 64, 4500}, {50, 40, 5001}, {2, 2100, 4100}};

using Case = std::tuple<Isa, graft_dtype>;
class GemmTest : public testing::TestWithParam<Case> {
  protected:
    void SetUp() override {
        Isa best;
        expect_ok(choose_isa(&best));
        if (isa > best) GTEST_SKIP() << "this CPU has no more than " << name(best);
    }
    const Isa isa = std::get<0>(GetParam());
    const graft_dtype type = std::get<1>(GetParam());

    void check(const Shape& s, int64_t r, Form a_form, Form b_form, graft_dtype b_storage, graft_dtype c_type, float alpha, float beta) {
        const Stored a(type, type, s.m, s.k, a_form, 1), b(b_storage, type, s.n, s.k, b_form, 2);
        const Stored ta(type, type, s.m, r, kRows, 3), tb(GRAFT_F32, type, s.n, r, b_form, 4);
        const Tensor bias = Tensor(GRAFT_F32, {s.n}).normal(5), before = Tensor(c_type, {s.m, s.n}).normal(6);
        std::vector<Tensor> got;
        for (int threads : {1, 2, 3}) {
            graft_context context(threads, isa, allocate_pages(kWorkspace), kWorkspace);
            Tensor c(c_type, {s.m, s.n});
            if (beta != 0) c = before;
            const cpu::Tail tails[2] = {{ta.operand, tb.operand, r}, {ta.operand, tb.operand, r}};
            const graft_tensor bias_tensor = bias;
            cpu::Gemm g;
            g.m = s.m, g.n = s.n, g.k = s.k, g.type = type, g.a = a.operand, g.b = b.operand;
            g.tails = tails, g.num_tails = r > 0 ? 2 : 0, g.bias = r > 0 ? &bias_tensor : nullptr;
            g.alpha = alpha, g.beta = beta, g.c = graft_tensor(c).data, g.ldc = s.n, g.c_type = c_type;
            expect_ok(cpu::gemm(&context, g));
            got.push_back(c);
            ASSERT_TRUE(got[0] == c) << threads << " threads give other bits";
        }
        std::vector<double> want;
        double largest = 0;
        for (int64_t i = 0; i < s.m; i++)
            for (int64_t j = 0; j < s.n; j++) {
                double sum = 0, magnitude = 0;
                const auto add = [&](double v) { sum += v, magnitude += std::fabs(v); };
                for (int64_t l = 0; l < s.k; l++) add(alpha * a.value[size_t(i * s.k + l)] * b.value[size_t(j * s.k + l)]);
                for (int64_t l = 0; l < r; l++) add(2 * alpha * ta.value[size_t(i * r + l)] * tb.value[size_t(j * r + l)]);
                if (r > 0) add(bias[j]);
                if (beta != 0) add(beta * before[i * s.n + j]);
                want.push_back(sum);
                largest = std::max(largest, magnitude);
            }
        // n roundings of 2^-24 each, of random sign: sqrt(n) of them (Higham and Mary, SIAM J. Sci. Comput. 41, 2019).
        const double chain = std::sqrt(double(s.k + 2 * r + 2)) / 16777216 * largest;
        got[0].expect(want, unit(c_type), chain, "C");
    }
};
INSTANTIATE_TEST_SUITE_P(Isa, GemmTest,
                         testing::Combine(testing::Values(Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512bf16),
                                          testing::Values(GRAFT_F32, GRAFT_BF16)));

TEST_P(GemmTest, FormsAndTails) {
    for (const Shape& s : kShapes)
        for (int64_t r : {0, 5, 16})
            for (Form a : {kRows, kCols})
                for (Form b : {kRows, kCols}) check(s, r, a, b, type, GRAFT_F32, 1, 0);
}

TEST_P(GemmTest, BlocksSlabsAndGroups) {
    for (const Shape& s : kLarge)
        for (Form a : {kRows, kCols}) check(s, 5, a, kCols, type, GRAFT_F32, 1, 0);
}

TEST_P(GemmTest, StoragesScalesAndTypesOfTheResult) {
    for (const Shape& s : {Shape{1, 40, 33}, Shape{29, 70, 130}})
        for (graft_dtype storage : {GRAFT_F32, type})
            for (graft_dtype c : {GRAFT_F32, GRAFT_BF16})
                for (Form b : {kRows, kCols})
                    for (float beta : {0.0f, 1.0f, -0.5f}) check(s, 3, kRows, b, storage, c, 0.75f, beta);
}

// A row of the result has the same bits in any batch: alone, among few rows and among many.
TEST_P(GemmTest, RowsDoNotDependOnTheirNumber) {
    constexpr int64_t kMost = 40, kRank = 5;
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{150, 192}, {70, 2112}})
        for (graft_dtype storage : {GRAFT_F32, GRAFT_BF16, GRAFT_U8}) {
            if (storage == GRAFT_BF16 && type == GRAFT_F32) continue;
            const Stored a(type, type, kMost, k, kRows, 1), ta(type, type, kMost, kRank, kRows, 2), tb(GRAFT_F32, type, n, kRank, kRows, 3);
            const Stored dense(storage == GRAFT_U8 ? GRAFT_F32 : storage, type, n, k, kRows, 4);
            std::vector<uint8_t> codes(size_t(n * k / 2));
            std::mt19937 engine(5);
            for (uint8_t& c : codes) c = uint8_t(engine());
            const Tensor absmax = Tensor(GRAFT_F32, {n * k / 64}).normal(6), bias = Tensor(GRAFT_F32, {n}).normal(7);
            const cpu::Operand nf4 = {codes.data(), k, kRows, GRAFT_U8, {static_cast<const float*>(graft_tensor(absmax).data)}};
            const auto product = [&](int64_t first, int64_t m) {
                const auto from = [&](cpu::Operand o) {
                    o.p = static_cast<const char*>(o.p) + first * o.ld * (o.storage == GRAFT_BF16 ? 2 : 4);
                    return o;
                };
                const cpu::Tail tail = {from(ta.operand), tb.operand, kRank};
                const graft_tensor bias_tensor = bias;
                Tensor c(GRAFT_F32, {m, n});
                cpu::Gemm g;
                g.m = m, g.n = n, g.k = k, g.type = type, g.a = from(a.operand), g.b = storage == GRAFT_U8 ? nf4 : dense.operand;
                g.tails = &tail, g.num_tails = 1, g.bias = &bias_tensor, g.c = graft_tensor(c).data, g.ldc = n;
                graft_context context(2, isa, allocate_pages(kWorkspace), kWorkspace);
                expect_ok(cpu::gemm(&context, g));
                return c;
            };
            const Tensor all = product(0, kMost);
            const auto equal = [&](int64_t first, int64_t m) {
                const Tensor part = product(first, m);
                const char* want = static_cast<const char*>(graft_tensor(all).data) + first * n * 4;
                return std::memcmp(graft_tensor(part).data, want, size_t(m * n * 4)) == 0;
            };
            for (int64_t m = 1; m < kMost; m++) {
                ASSERT_TRUE(equal(0, m)) << m << " rows, weight " << int(storage) << ", contraction " << k;
                ASSERT_TRUE(equal(m, 1)) << "row " << m << " alone, weight " << int(storage) << ", contraction " << k;
            }
        }
}

// Rows of A with a single one pick the weights of NF4 as they were decoded: bf16(code * scale) or the product itself, to
// the bit. Odd columns and contractions, few rows and many; a scale that is NaN, whatever its payload, stays one.
TEST_P(GemmTest, NF4IsDecodedToTheBit) {
    for (const auto& [form, n, k] : {std::tuple<Form, int64_t, int64_t>{kRows, 150, 192}, {kRows, 64, 64}, {kCols, 192, 77}, {kCols, 320, 130}}) {
        const int64_t width = form == kRows ? k : n;
        std::vector<uint8_t> codes(size_t(n * k / 2));
        std::vector<float> absmax(size_t(n * k / 64));
        std::mt19937 engine(8);
        for (uint8_t& c : codes) c = uint8_t(engine());
        for (float& s : absmax) s = std::normal_distribution<float>(0, 3)(engine);
        const uint32_t nan = 0x7fffffff;
        std::memcpy(&absmax[5], &nan, 4);
        std::vector<float> want(size_t(n * k));  // [k][n]
        std::vector<bool> unknown(static_cast<size_t>(n));
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < n; j++) {
                const int64_t e = form == kRows ? j * k + i : i * n + j;
                const uint8_t pair = codes[size_t(e / 2)];
                const float w = cpu::kNF4Table[e % 2 ? pair & 15 : pair >> 4] * absmax[size_t(e / 64)];
                want[size_t(i * n + j)] = type == GRAFT_BF16 ? cpu::widen(cpu::to_bf16(w)) : w;
                if (w != w) unknown[size_t(j)] = true;
            }
        for (int64_t m : {k, std::min<int64_t>(k, 6), int64_t(1)}) {
            Tensor ones(type, {m, k}), c(GRAFT_F32, {m, n});
            for (int64_t i = 0; i < m; i++)
                for (int64_t l = 0; l < k; l++) ones.set(i * k + l, l == i);
            cpu::Gemm g;
            g.m = m, g.n = n, g.k = k, g.type = type, g.a = cpu::Operand::of(graft_tensor(ones), kRows);
            g.b = {codes.data(), width, form, GRAFT_U8, {absmax.data()}};
            g.c = graft_tensor(c).data, g.ldc = n;
            graft_context context(2, isa, allocate_pages(kWorkspace), kWorkspace);
            expect_ok(cpu::gemm(&context, g));
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++) {
                    const double got = c[i * n + j];
                    ASSERT_TRUE(unknown[size_t(j)] ? got != got : got == double(want[size_t(i * n + j)]))
                        << got << " for " << want[size_t(i * n + j)] << " at " << i << " " << j << " of " << m << " x " << n << ", form " << form;
                }
        }
    }
}

// The signed dynamic map of bitsandbytes: the hash is of what functional.create_dynamic_map(signed=True) of release 0.50 gives.
TEST(NF4, DynamicMapIsThatOfBitsAndBytes) {
    const float* map = cpu::kSignedMap.value;
    EXPECT_EQ(map[127], 0.0f);
    EXPECT_EQ(map[255], 1.0f);
    for (int i = 1; i < 256; i++) EXPECT_LT(map[i - 1], map[i]);
    uint64_t hash = 14695981039346656037u;  // FNV-1a of the bytes
    for (int i = 0; i < 256; i++) {
        uint8_t bytes[4];
        std::memcpy(bytes, map + i, 4);
        for (uint8_t b : bytes) hash = (hash ^ b) * 1099511628211u;
    }
    EXPECT_EQ(hash, 15454086911070985156u);
}

}  // namespace
}  // namespace graft::test

// nf4_dequantize against its definition, bit for bit.
#include "../cpu/weight.h"
#include "test.h"

namespace graft::test {
namespace {

const graft_api& api = *graft_cpu_api();

// A matrix in NF4 whose first scale is so small that products are subnormal and, where scales are plain, whose last is a
// NaN with a payload that rounding would carry into the sign.
struct FourBits {
    int64_t out, in;
    bool nested;
    std::vector<uint8_t> codes, absmax_codes;
    std::vector<float> absmax, nested_absmax, scales;
    float offset = 0.37f;

    FourBits(int64_t out, int64_t in, bool nested) : out(out), in(in), nested(nested), codes(size_t(out * in / 2)) {
        std::mt19937 engine(3);
        const size_t blocks = size_t(out * in / 64);
        for (uint8_t& c : codes) c = uint8_t(engine());
        for (size_t b = 0; b < blocks; b++) absmax.push_back(std::normal_distribution<float>(0, 3)(engine)), absmax_codes.push_back(uint8_t(engine()));
        for (size_t b = 0; b < blocks; b += 256) nested_absmax.push_back(0.5f + float(b / 256));
        const uint32_t nan = 0x7fffffff;
        absmax[0] = 1e-39f;
        std::memcpy(&absmax.back(), &nan, 4);
        scales = absmax;
        for (size_t b = 0; nested && b < blocks; b++) {
            volatile float product = cpu::kSignedMap.value[absmax_codes[b]] * nested_absmax[b / 256];
            scales[b] = product + offset;
        }
    }
    graft_weight weight() {
        const auto flat = [](void* data, graft_dtype type, size_t n) { return graft_tensor{data, type, 1, {int64_t(n)}, 1}; };
        graft_weight w = {{codes.data(), GRAFT_U8, 2, {out, in / 2}, in / 2}, flat(absmax.data(), GRAFT_F32, absmax.size()), {}, {}, out, in};
        if (!nested) return w;
        w.absmax = flat(absmax_codes.data(), GRAFT_U8, absmax_codes.size());
        w.nested = flat(nested_absmax.data(), GRAFT_F32, nested_absmax.size());
        w.offset = flat(&offset, GRAFT_F32, 1);
        return w;
    }
};

// To the bit, on every instruction set that there is: rows that end within blocks, rows apart, y that bypasses the cache.
template <class T> void dequantize(graft_dtype type) {
    Isa best;
    expect_ok(choose_isa(&best));
    const int64_t large = cpu::kStreamBytes / (4096 * int64_t(sizeof(T))) + 1;
    const int64_t shapes[][3] = {{1, 64, 0}, {3, 64, 0}, {32, 6, 0}, {32, 6, 5}, {96, 130, 3}, {7, 192, 32}, {5, 1088, 1}, {large, 4096, 0}, {large, 4096, 32}};
    for (const auto& [out, in, gap] : shapes)
        for (const bool nested : {false, true}) {
            FourBits q(out, in, nested);
            const size_t pitch = size_t(in + gap), length = size_t(out) * pitch + 16;
            std::vector<T> want(length);
            std::memset(want.data(), 0xff, want.size() * sizeof(T));  // what stays between the rows and behind them
            std::vector<size_t> unknown;
            for (size_t e = 0; e < size_t(out * in); e++) {
                const float w = cpu::kNF4Table[e % 2 ? q.codes[e / 2] & 15 : q.codes[e / 2] >> 4] * q.scales[e / 64];
                const size_t at = e / size_t(in) * pitch + e % size_t(in);
                cpu::put(&want[at], w);
                if (w != w) unknown.push_back(at);
            }
            for (Isa isa = Isa::portable; isa <= best; isa = Isa(int(isa) + 1))
                for (const int threads : {1, 3}) {
                    std::vector<T> memory(length + 64 / sizeof(T));
                    std::memset(memory.data(), 0xff, memory.size() * sizeof(T));
                    T* y = memory.data();
                    while (reinterpret_cast<uintptr_t>(y) % 64) y++;
                    graft_context context(threads, isa, nullptr, 0);
                    const graft_nf4_dequantize_args a = {{y, type, 2, {out, in}, int64_t(pitch)}, q.weight()};
                    expect_ok(cpu::nf4_dequantize(&context, &a));
                    for (size_t i : unknown) {
                        ASSERT_NE(cpu::widen(y[i]), cpu::widen(y[i])) << "a scale that is NaN";
                        y[i] = want[i];
                    }
                    ASSERT_EQ(std::memcmp(y, want.data(), length * sizeof(T)), 0)
                        << out << " x " << in << " + " << gap << (nested ? ", nested, " : ", ") << name(isa) << ", " << threads << " threads";
                }
        }
}
TEST(NF4, Dequantize) {
    dequantize<cpu::bf16>(GRAFT_BF16);
    dequantize<float>(GRAFT_F32);
}

TEST(NF4, DequantizeNamesWhatIsWrong) {
    const Context context(1);
    const Tensor y(GRAFT_F32, {2, 64}), dense(GRAFT_F32, {2, 64});
    FourBits q(2, 64, true);
    graft_nf4_dequantize_args a = {y, q.weight()};
    a.w.in = 63;
    expect_code(api.nf4_dequantize(context, &a), GRAFT_INVALID_ARGUMENT, "no whole bytes");
    a.w = q.weight(), a.w.offset = {};
    expect_code(api.nf4_dequantize(context, &a), GRAFT_INVALID_ARGUMENT, "offset of absmax is absent");
    a.w = {dense, {}, {}, {}, 2, 64};
    expect_code(api.nf4_dequantize(context, &a), GRAFT_INVALID_ARGUMENT, "not in NF4");
}

}  // namespace
}  // namespace graft::test

// Operations whose every rounding is defined: nf4_quantize and adamw_bf16. The
// references are in float32, the tolerance is 0.
#include "harness.h"
#include "philox.h"
#include "weight.h"

namespace test {
namespace {

using Values = std::vector<double>;

// Normal numbers; the first block has every midpoint and its neighbours, the second zeros.
void quantize(int32_t type, int64_t rows, int64_t cols) {
    Array x = normal(type, rows, cols, 5);
    for (size_t i = 0; i < 64; ++i) {
        const float mid = i < 60 ? (kCode[i / 4] + kCode[i / 4 + 1]) / 2 : 1.0f;
        x.values[i] = rounded(type, i % 4 == 1 ? std::nextafter(mid, 2.0f) : i % 4 == 2 ? std::nextafter(mid, -2.0f) : mid);
        x.values[64 + i] = 0;
    }
    Values codes, absmax;
    for (size_t first = 0; first < x.values.size(); first += 64) {
        float largest = 0;
        for (size_t i = first; i < first + 64; ++i) largest = std::max(largest, std::fabs(float(x.values[i])));
        absmax.push_back(largest);
        const float inverse = 1.0f / std::max(largest, 1e-38f);
        for (size_t i = first; i < first + 64; i += 2) {
            int pair = 0;
            for (size_t e = i; e < i + 2; ++e) {
                int code = 0;
                for (int k = 0; k < 15; ++k) code += (kCode[k] + kCode[k + 1]) / 2 < float(x.values[e]) * inverse;
                pair = pair * 16 + code;
            }
            codes.push_back(pair);
        }
    }
    codes.insert(codes.end(), absmax.begin(), absmax.end());
    run_case({"nf4_quantize " + std::string(type == GRAFT_BF16 ? "bf16 " : "f32 ") + std::to_string(rows) + "x" + std::to_string(cols),
              0, codes, [=](Run& r, Values* out) {
                  const graft_tensor to = r.tensor(GRAFT_U8, rows, cols / 2), scales = r.tensor(GRAFT_F32, 1, rows * cols / 64);
                  const graft_nf4_quantize_args a{to, scales, r.put(x)};
                  r.check(api().nf4_quantize(r.context(), &a));
                  r.get(to, out);
                  r.get(scales, out);
              }});
}

void adamw_bf16(int64_t n, bool applied) {
    const Array p = normal(GRAFT_BF16, 1, n, 1), m = normal(GRAFT_F32, 1, n, 2, 0.1), g = normal(GRAFT_F32, 1, n, 4);
    const Array v(GRAFT_F32, 1, n, [](int64_t i) { return 0.01 * double(i % 7 + 1); });
    const float lr = 0.01f, b1 = 0.9f, b2 = 0.999f, eps = 1e-8f, wd = 0.1f, clip = 0.3f;
    // Powers of 5 = 1 + 4.
    const double power1 = double(b1) * ((double(b1) * b1) * (double(b1) * b1));
    const double power2 = double(b2) * ((double(b2) * b2) * (double(b2) * b2));
    const float keep = float(1 - double(lr) * wd), rate = float(double(lr) / (1 - power1)), root = float(1 / std::sqrt(1 - power2));
    Values all, ms, vs;
    for (int64_t i = 0; i < n; ++i) {
        const float grad = float(g.at(0, i)) * clip;
        const float m1 = float(m.at(0, i)) * b1 + grad * (1 - b1), v1 = float(v.at(0, i)) * b2 + grad * grad * (1 - b2);
        const float now = float(p.at(0, i)) * keep - rate * m1 / (std::sqrt(v1) * root + eps);
        uint32_t bits;
        std::memcpy(&bits, &now, 4);
        const uint32_t r = philox({uint32_t(i / 4), 0, 3, 1}, 7, 11)[size_t(i % 4)];
        all.push_back(applied ? double(bf16_value(uint16_t((bits + (r >> 16)) >> 16))) : p.at(0, i));
        ms.push_back(applied ? m1 : m.at(0, i));
        vs.push_back(applied ? v1 : v.at(0, i));
    }
    all.insert(all.end(), ms.begin(), ms.end());
    all.insert(all.end(), vs.begin(), vs.end());
    run_case({"adamw_bf16 " + std::to_string(n) + (applied ? "" : " skipped"), 0, all, [=](Run& r, Values* out) {
                  const graft_tensor pp = r.put(p), mm = r.put(m), vv = r.put(v);
                  const Array norm(GRAFT_F32, 1, 4, [=](int64_t i) { return i == 1 ? double(clip) : i == 2 ? applied : i == 3 ? 5.0 : 1.0; });
                  const Array rate_of(GRAFT_F32, 1, 1, [=](int64_t) { return lr; });
                  const Array seed(GRAFT_U32, 1, 4, [](int64_t i) { return i == 0 ? 7.0 : i == 1 ? 11.0 : i == 2 ? 3.0 : 1.0; });
                  const graft_adamw_bf16_args a{pp, mm, vv, r.put(g), r.put(norm), r.put(rate_of), r.put(seed), b1, b2, eps, wd, 1};
                  r.check(api().adamw_bf16(r.context(), &a));
                  for (const graft_tensor& o : {pp, mm, vv}) r.get(o, out);
              }});
}

}  // namespace

void defined_cases() {
    for (int32_t type : {GRAFT_F32, GRAFT_BF16}) {
        quantize(type, 3, 64);
        quantize(type, 6, 192);
        quantize(type, 32, 6);
    }
    adamw_bf16(4096, true);
    adamw_bf16(37, true);
    adamw_bf16(37, false);
}

}  // namespace test

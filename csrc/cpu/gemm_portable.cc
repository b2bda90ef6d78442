// Register tiles in plain C++, 6 rows x 16 columns of f32 units. bf16 is widened while it is packed.
#include <algorithm>

#include "gemm_pack.h"

namespace graft::cpu {

namespace {

constexpr int kMr = 6, kNr = 16;

void pack_a(uint32_t* out, const Source& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    pack_plain<GRAFT_F32>(out, a, i0, rows, rows, u0, u1);
}
void pack_b(uint32_t* out, const Source& b, int64_t j0, int64_t u0, int64_t u1) {
    pack_plain<GRAFT_F32>(out, b, j0, int(std::min<int64_t>(kNr, b.outer - j0)), kNr, u0, u1);
}

template <class C> void write(C* c, const Tile& t, const float* acc) {
    for (int j = 0; j < t.cols; j++) {
        float v = t.alpha * acc[j] + (t.bias ? t.bias[j] : 0);
        if (t.beta != 0) v += t.beta * widen(c[j]);
        put(c + j, v);
    }
}

template <int MR> void tile_portable(const Tile& t) {
    float acc[MR][kNr];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < kNr; j++) acc[i][j] = t.load_partial ? t.partial[i * t.ld_partial + j] : 0;
    auto contract = [&](const uint32_t* a, const uint32_t* b, int64_t units) {
        const float *x = reinterpret_cast<const float*>(a), *w = reinterpret_cast<const float*>(b);
        for (int64_t u = 0; u < units; u++)
            for (int i = 0; i < MR; i++)
                for (int j = 0; j < kNr; j++) acc[i][j] += x[u * MR + i] * w[u * kNr + j];
    };
    contract(t.a, t.b, t.units);
    if (t.finish) contract(t.tail_a, t.tail_b, t.tail_units);
    for (int i = 0; i < MR; i++) {
        if (!t.finish) std::copy(acc[i], acc[i] + kNr, t.partial + i * t.ld_partial);
        else if (t.c_bf16) write(static_cast<bf16*>(t.c) + i * t.ldc, t, acc[i]);
        else write(static_cast<float*>(t.c) + i * t.ldc, t, acc[i]);
    }
}

}  // namespace

extern const Kernels kPortable = {GRAFT_F32, kMr, kNr,
                                  {nullptr, tile_portable<1>, tile_portable<2>, tile_portable<3>, tile_portable<4>,
                                   tile_portable<5>, tile_portable<6>},
                                  {}, nullptr, pack_a, pack_b, nullptr};

}  // namespace graft::cpu

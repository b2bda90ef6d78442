// fp32 register tile for AVX2 + FMA, 6 rows x 16 columns, and the portable one with the same shape. They show the
// structure of the dispatch: only the tile differs, packing is plain C++.
#include <immintrin.h>

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

// acc (rows x 16) to C or to the partial sums.
inline void finish(const Tile& t, const float (*acc)[kNr], int rows) {
    for (int i = 0; i < rows; i++) {
        if (!t.finish) {
            std::copy(acc[i], acc[i] + kNr, t.partial + i * t.ld_partial);
            continue;
        }
        if (t.c_bf16) write(static_cast<bf16*>(t.c) + i * t.ldc, t, acc[i]);
        else write(static_cast<float*>(t.c) + i * t.ldc, t, acc[i]);
    }
}

#define GRAFT_AVX2 __attribute__((target("avx2,fma")))

template <int MR>
GRAFT_AVX2 GRAFT_INLINE void contract(__m256 (&acc)[MR][2], const uint32_t* a, const uint32_t* b, int64_t units) {
    const float *x = reinterpret_cast<const float*>(a), *w = reinterpret_cast<const float*>(b);
    for (; units > 0; units--, x += MR, w += kNr) {
        __m256 w0 = _mm256_loadu_ps(w), w1 = _mm256_loadu_ps(w + 8);
#pragma GCC unroll 6
        for (int i = 0; i < MR; i++) {
            __m256 xi = _mm256_broadcast_ss(x + i);
            acc[i][0] = _mm256_fmadd_ps(xi, w0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(xi, w1, acc[i][1]);
        }
    }
}

template <int MR> GRAFT_AVX2 void tile_avx2(const Tile& t) {
    __m256 acc[MR][2];
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
        const float* p = t.partial + i * t.ld_partial;
        acc[i][0] = t.load_partial ? _mm256_loadu_ps(p) : _mm256_setzero_ps();
        acc[i][1] = t.load_partial ? _mm256_loadu_ps(p + 8) : _mm256_setzero_ps();
    }
    contract<MR>(acc, t.a, t.b, t.units);
    if (t.finish && t.tail_units) contract<MR>(acc, t.tail_a, t.tail_b, t.tail_units);
    float out[MR][kNr];
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
        _mm256_storeu_ps(out[i], acc[i][0]);
        _mm256_storeu_ps(out[i] + 8, acc[i][1]);
    }
    finish(t, out, MR);
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
    finish(t, acc, MR);
}

}  // namespace

extern const Kernels kAVX2 = {GRAFT_F32, kMr, kNr,
                              {nullptr, tile_avx2<1>, tile_avx2<2>, tile_avx2<3>, tile_avx2<4>, tile_avx2<5>, tile_avx2<6>},
                              {}, pack_a, pack_b};

extern const Kernels kPortable = {GRAFT_F32, kMr, kNr,
                                  {nullptr, tile_portable<1>, tile_portable<2>, tile_portable<3>, tile_portable<4>,
                                   tile_portable<5>, tile_portable<6>},
                                  {}, pack_a, pack_b};

}  // namespace graft::cpu

// fp32 register tile for AVX2 + FMA, 6 rows x 16 columns, and the portable one with the same shape. They show the
// structure of the dispatch: only the tile differs, packing is plain C++.
#include <immintrin.h>

#include <algorithm>

#include "gemm_kernel.h"

namespace graft::cpu {

namespace {

constexpr int kMr = 6, kNr = 16;

inline float at(const Operand& o, int64_t i, int64_t k) {
    const float* p = static_cast<const float*>(o.p);
    return o.form == kRows ? p[i * o.ld + k] : p[k * o.ld + i];
}

void pack_a(uint32_t* out, const Operand& a, int64_t i0, int rows, int64_t u0, int64_t u1) {
    float* dst = reinterpret_cast<float*>(out);
    for (int64_t u = u0; u < u1; u++)
        for (int i = 0; i < rows; i++) *dst++ = at(a, i0 + i, u);
}

void pack_b(uint32_t* out, const Operand& b, int64_t j0, int64_t u0, int64_t u1) {
    float* dst = reinterpret_cast<float*>(out);
    for (int64_t u = u0; u < u1; u++)
        for (int64_t j = j0; j < j0 + kNr; j++) {
            if (b.form == kPanelsT)  // W [contraction, outer] in panels of 16 rows
                *dst++ = j < b.outer ? static_cast<const float*>(b.p)[(u / kNr * b.outer + j) * kNr + u % kNr] : 0;
            else *dst++ = j < b.outer ? at(b, j, u) : 0;
        }
}

// acc (rows x 16) to C or to the partial sums.
inline void finish(const Tile& t, const float (*acc)[kNr], int rows) {
    for (int i = 0; i < rows; i++) {
        if (!t.finish) {
            std::copy(acc[i], acc[i] + kNr, t.partial + i * t.ld_partial);
            continue;
        }
        float* c = static_cast<float*>(t.c) + i * t.ldc;
        for (int j = 0; j < t.cols; j++) c[j] = t.alpha * acc[i][j] + (t.beta != 0 ? t.beta * c[j] : 0);
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

const Kernels* kernels_avx2() {
    static const Kernels k = {"avx2", kMr, kNr,
                              {nullptr, tile_avx2<1>, tile_avx2<2>, tile_avx2<3>, tile_avx2<4>, tile_avx2<5>, tile_avx2<6>},
                              {},
                              pack_a, pack_b};
    return &k;
}

const Kernels* kernels_portable() {
    static const Kernels k = {"portable", kMr, kNr,
                              {nullptr, tile_portable<1>, tile_portable<2>, tile_portable<3>, tile_portable<4>,
                               tile_portable<5>, tile_portable<6>},
                              {},
                              pack_a, pack_b};
    return &k;
}

}  // namespace graft::cpu

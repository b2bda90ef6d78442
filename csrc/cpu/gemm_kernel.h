// What a set of kernels (one per instruction set) offers to the blocked loop in gemm.cc.
//
// Packed data is made of 32-bit units: one fp32, or two bf16 that are neighbours in the contraction
// (lower half first; an odd contraction is padded with zero). With that, fp32 and bf16 share packing and loops.
//   A micro-panel: [units][rows]   rows <= mr, exactly as many as there are
//   B panel:       [units][nr]     columns padded with zero
#pragma once
#include <cstdint>

#include "gemm.h"

namespace graft::cpu {

// One register tile: rows x nr of C.
struct Tile {
    const uint32_t *a, *b;
    int64_t lda;  // 0: a is a packed micro-panel; otherwise rows of A, that many units apart, are read in place
    int64_t units;
    const uint32_t *tail_a, *tail_b;  // low-rank tail, used when tail_units > 0
    int64_t tail_units;
    const char* prefetch;  // what the next panels will need, one line per four units
    float* partial;        // fp32 sums of a contraction that is not finished
    int64_t ld_partial;
    bool load_partial, finish;
    void* c;
    int64_t ldc;
    int cols;  // valid columns, <= nr
    float alpha, beta;
    bool c_bf16, stream;  // stream: non-temporal stores
};

struct Operand {
    const void* p;
    int64_t ld;
    GemmForm form;
    const float* absmax;
    int64_t contraction;  // full length of the contraction
    int64_t outer;        // rows of A, columns of C for B
};

struct Kernels {
    const char* name;
    int mr, nr;
    void (*tile[13])(const Tile&);         // by rows, 1..mr
    void (*tile_direct[13])(const Tile&);  // the same for lda != 0; null where there is none
    // Packs rows [i0, i0+rows) of A, units [u0, u1), to [units][rows].
    void (*pack_a)(uint32_t* dst, const Operand&, int64_t i0, int rows, int64_t u0, int64_t u1);
    // Packs columns [j0, j0+nr) of B, units [u0, u1), to [units][nr].
    void (*pack_b)(uint32_t* dst, const Operand&, int64_t j0, int64_t u0, int64_t u1);
};

const Kernels* kernels_avx512(graft_dtype);
const Kernels* kernels_avx2();      // fp32
const Kernels* kernels_portable();  // fp32
const Kernels* kernels_for(Isa, graft_dtype);  // nullptr: not supported
inline int64_t units_of(graft_dtype t, int64_t k) { return t == GRAFT_BF16 ? (k + 1) / 2 : k; }


}  // namespace graft::cpu

#define GRAFT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define GRAFT_INLINE inline __attribute__((always_inline))

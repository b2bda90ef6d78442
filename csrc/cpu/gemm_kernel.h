// What a set of kernels (one per instruction set) offers to the blocked loop in gemm.cc.
//
// Packed data is made of 32-bit units: one fp32, or two bf16 that are neighbours in the contraction
// (lower half first; an odd contraction is padded with zero). With that, fp32 and bf16 share packing and loops.
//   A micro-panel: [units][rows]   rows <= mr, exactly as many as there are
//   B panel:       [units][nr]     columns padded with zero
#pragma once
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
    int cols;  // valid columns, <= nr (of a row: of all panels)
    const float* bias;  // of these columns; may be null
    float alpha, beta;
    bool c_bf16, stream;  // stream: non-temporal stores
};

// An operand as the packing functions see it.
struct Source {
    Operand o;
    graft_dtype type;     // its values are rounded to this
    int64_t contraction;  // full length of the contraction
    int64_t outer;        // rows of A, columns of C for B
};

constexpr int kRowPanels = 4, kBlockPanels = 4;

// From one panel to the next, in units and sums.
struct RowPitch {
    int64_t b, tail, partial;
};

struct Kernels {
    graft_dtype unit;  // f32, or bf16: two to a unit
    int mr, nr;
    void (*tile[13])(const Tile&);         // by rows, 1..mr
    void (*tile_direct[13])(const Tile&);  // the same for lda != 0; null where there is none
    // One row against kRowPanels panels, of which the tile is the first; its columns are those of all of them. Null where
    // the tile of one row is as good.
    void (*row)(const Tile&, const RowPitch&);
    // Packs rows [i0, i0+rows) of A, units [u0, u1), to [units][rows].
    void (*pack_a)(uint32_t* dst, const Source&, int64_t i0, int rows, int64_t u0, int64_t u1);
    // Packs columns [j0, j0+nr) of B, units [u0, u1), to [units][nr].
    void (*pack_b)(uint32_t* dst, const Source&, int64_t j0, int64_t u0, int64_t u1);
    // Packs kBlockPanels panels, pitch units apart, where that is cheaper than one by one; false if it is not, and null
    // where it never is.
    bool (*pack_b_block)(uint32_t* dst, int64_t pitch, const Source&, int64_t j0, int64_t u0, int64_t u1);
};

extern const Kernels kPortable;  // f32 units, for both types
#if defined(__x86_64__)
extern const Kernels kAVX2, kAVX512;  // f32 units, for both types
extern const Kernels kAVX512BF16;     // bf16 units
#endif
const Kernels& kernels_for(Isa, graft_dtype type);

inline int64_t units_of(graft_dtype unit, int64_t k) { return unit == GRAFT_BF16 ? (k + 1) / 2 : k; }

}  // namespace graft::cpu

#define GRAFT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define GRAFT_AVX2 __attribute__((target("avx2,fma")))
#define GRAFT_INLINE inline __attribute__((always_inline))

// The product that linear layers are made of. Everything is row-major.
//
//   C[m,n] = alpha * ( sum_k A(m,k) * B(n,k)  +  sum_j tail_a(m,j) * tail_b(n,j) ) + beta * C[m,n]
//
// One entry point serves the three products of a linear layer y = x W^T, W [N,K]:
//   forward          y  = x W^T    A = x  (ROWS)   B = W (ROWS, PANELS or NF4_ROWS)
//   backward-data    dx = dy W     A = dy (ROWS)   B = W (COLS, PANELS_T or NF4_COLS)
//   weight gradient  dW = dy^T x   A = dy (COLS)   B = x (COLS)
#pragma once
#include "cpu.h"

namespace graft::cpu {

// How an operand lies in memory. "Contraction" is the dimension summed over.
enum GemmForm {
    kRows = 0,      // contraction contiguous: element (i,k) at p[i*ld + k]
    kCols = 1,      // contraction strided:    element (i,k) at p[k*ld + i]
    kPanels = 2,    // B only: made by graft_panels_pack from W [N,K], contracted over K
    kPanelsT = 3,  // B only: the same panels, contracted over N (backward-data)
    kNF4Rows = 4,  // B only: 4-bit codes of W [N,K], contracted over K
    kNF4Cols = 5   // B only: the same codes, contracted over N (backward-data)
};

struct Gemm {
    int64_t m, n, k;
    graft_dtype type;  // of A, B and the tail; accumulation is always fp32
    const void* a;
    int64_t lda;
    GemmForm a_form;
    const void* b;  // NF4: two codes a byte, high nibble first, rows of K/2 bytes
    int64_t ldb;
    GemmForm b_form;
    const float* absmax;  // NF4: one per 64 weights along K; W has K % 64 == 0
    const void* tail_a;   // low-rank tail [m, r], ROWS; r = 0 means none
    int64_t ld_tail_a;
    const void* tail_b;  // ROWS [n, r] (forward: B of LoRA) or COLS [r, n] (backward: A of LoRA)
    int64_t ld_tail_b;
    GemmForm tail_b_form;
    int64_t r;
    float alpha, beta;
    void* c;
    int64_t ldc;
    graft_dtype c_type;
};

// Bytes of workspace that a product takes.
int64_t gemm_workspace(const graft_context&, const Gemm&);
graft_status* gemm(graft_context*, const Gemm&);

extern const float kNF4Table[16];

}  // namespace graft::cpu

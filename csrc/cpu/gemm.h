// The product that linear layers are made of. Everything is row-major.
//
//   C[m,n] = alpha * ( sum_k A(m,k) * B(n,k)  +  sum over tails of sum_j a(m,j) * b(n,j) ) + bias[n] + beta * C[m,n]
//
// One entry serves the three products of a linear layer y = x W^T, W [N,K]:
//   forward          y  = x W^T    A = x  (rows)   B = W (rows)    tail x A^T, B of an adapter
//   backward-data    dx = dy W     A = dy (rows)   B = W (cols)    tail dy B, A of an adapter
//   weight gradient  dW = dy^T x   A = dy (cols)   B = x (cols)
#pragma once
#include "weight.h"

namespace graft::cpu {

// How an operand lies in memory; the contraction is the dimension summed over.
enum Form {
    kRows,  // contraction contiguous: element (i,k) at p[i*ld + k]
    kCols,  // contraction strided:    element (i,k) at p[k*ld + i]
};

// An operand. Whatever its storage, its values are rounded to the type of the
// product while it is packed.
struct Operand {
    const void* p = nullptr;
    int64_t ld = 0;  // elements from one row in memory to the next
    Form form = kRows;
    graft_dtype storage = GRAFT_F32;  // GRAFT_U8: NF4 codes, two a byte
    NF4Scales scales = {};

    static Operand of(const graft_tensor& t, Form form) {
        return {t.data, t.pitch, form, graft_dtype(t.dtype), {}};
    }
    static Operand of(const graft_weight& w, Form form) {
        if (!is_nf4(w)) return of(w.data, form);
        return {w.data.data, w.in, form, GRAFT_U8, nf4_scales(w)};
    }
};

// A product of low rank that is added to the chain of each element.
struct Tail {
    Operand a, b;
    int64_t r;
};

struct Gemm {
    int64_t m = 0, n = 0, k = 0;
    graft_dtype type = GRAFT_F32;  // f32 or bf16; sums are always f32
    Operand a, b;                  // a is dense
    const Tail* tails = nullptr;
    int64_t num_tails = 0;
    const graft_tensor* bias = nullptr;  // [n]
    float alpha = 1, beta = 0;
    void* c = nullptr;
    int64_t ldc = 0;
    graft_dtype c_type = GRAFT_F32;
};

// Scratch comes from the workspace of the context: at most 8 MiB, and for each
// thread 8 MiB (bindings.CPUProfile), as long as the tails have no more than
// kMaxRank columns together.
constexpr int64_t kMaxRank = 512;
graft_status* gemm(graft_context*, const Gemm&);

}  // namespace graft::cpu

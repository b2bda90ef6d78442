// What the forward and the backward pass of a linear layer share.
#pragma once
#include "gemm.h"

namespace graft::cpu {

// dst = drop(x), rows of x's type without gaps. Element e of x is kept where word e%4 of Philox4x32-10 at counter
// (e/4, site, seed[2], seed[3]) under key (seed[0], seed[1]) is not below the threshold, times 1/(1-p).
void drop(graft_context*, const graft_tensor& dst, const graft_tensor& x, const graft_dropout&);
// dst += drop(x) for an x in f32: the backward pass.
void add_dropped(graft_context*, const graft_tensor& dst, const graft_tensor& x, const graft_dropout&);

// A matrix without gaps in memory of the caller's.
inline graft_tensor matrix(void* data, graft_dtype type, int64_t rows, int64_t cols) {
    return {data, type, 2, {rows, cols, 0, 0}, cols};
}
inline int64_t size_of(int32_t dtype) { return dtype == GRAFT_BF16 ? 2 : 4; }

// C = alpha * A B^T + beta * C; c's rows are those of A.
graft_status* product(graft_context*, const graft_tensor& c, const Operand& a, const Operand& b, int64_t contraction,
                      graft_dtype type, float alpha, float beta);

// Multiplies the rows of an adapter's xa, or of its gradient, by its gate, if it has one.
void gate_rows(graft_context*, const graft_tensor& xa, const graft_tensor& gate);

graft_status* check_linear(const graft_tensor& x, int64_t tokens, graft_dtype type, const graft_weight&,
                           const graft_low_rank* adapters, int64_t num_adapters);

}  // namespace graft::cpu

// Products of few rows, as in generation: the weight is read once, row by row, and never packed.
#pragma once
#include <vector>

#include "gemm_kernel.h"

namespace graft::cpu {

constexpr int64_t kFewRows = 1;     // a token at a time: a batch has the bits of its parts
constexpr int64_t kFewUnits = 512;  // of a row of the weight at a time: four rows are 8 KiB

struct FewRows {
    // One product of the sum: the main one, or a tail.
    struct Term {
        Source w;        // [n, contraction], contraction contiguous
        const float* x;  // [m, x_row], zeros behind the contraction
        int64_t x_row;
    };
    const Gemm& g;
    std::vector<Term> terms;
    const float* bias;
};

// Whether few_rows does this product.
bool is_few_rows(const graft_context*, const Gemm&);
graft_status* few_rows(graft_context*, const Gemm&);

}  // namespace graft::cpu

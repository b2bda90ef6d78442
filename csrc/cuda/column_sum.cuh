// Sums over the rows of a matrix, one a column, in a fixed order: first over
// groups of rows, then over the groups. Used by every gradient that a whole
// batch shares (norm weights, biases).
#pragma once

#include "context.cuh"

namespace graft::cuda {

constexpr int64_t kRowsPerGroup = 64;

// partial[g, col] = sum of term(row, col) over the rows of group g.
template <class Term>
__global__ void __launch_bounds__(kThreads) column_partials(Term term, float* partial, int64_t rows, int64_t cols, int64_t group) {
    const int64_t col = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= cols) return;
    const int64_t first = int64_t(blockIdx.y) * group, last = first + group < rows ? first + group : rows;
    float sum = 0.0f;
    for (int64_t row = first; row < last; ++row) sum += term(row, col);
    partial[int64_t(blockIdx.y) * cols + col] = sum;
}

// out[col] += sum of the partials.
static __global__ void __launch_bounds__(kThreads) add_partials(float* out, const float* partial, int64_t groups, int64_t cols) {
    const int64_t col = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= cols) return;
    float sum = 0.0f;
    for (int64_t g = 0; g < groups; ++g) sum += partial[g * cols + col];
    out[col] += sum;
}

// out[col] += sum of term(row, col) over the rows; the groups grow where the
// workspace is small.
template <class Term> graft_status* add_column_sums(graft_context* c, float* out, Term term, int64_t rows, int64_t cols) {
    if (rows <= 0 || cols <= 0) return nullptr;
    Carver workspace(*c);
    const int64_t fit = workspace.left() / (cols * 4);
    int64_t group = kRowsPerGroup;
    if (fit > 0 && ceil_div(rows, group) > fit) group = ceil_div(rows, fit);
    if (ceil_div(rows, group) > 65535) group = ceil_div(rows, 65535);
    const int64_t groups = ceil_div(rows, group);
    float* partial = workspace.take<float>(groups * cols);
    GRAFT_TRY(workspace.check("workspace"));
    const unsigned across = unsigned(ceil_div(cols, kThreads));
    GRAFT_LAUNCH((column_partials<Term>), dim3(across, unsigned(groups)), dim3(kThreads), 0, c->stream, term, partial, rows,
                 cols, group);
    GRAFT_LAUNCH(add_partials, dim3(across), dim3(kThreads), 0, c->stream, out, partial, groups, cols);
    return launched();
}

}  // namespace graft::cuda

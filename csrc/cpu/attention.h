// What the attention kernels work on: one kv head, a block of queries with all
// heads of its group (row i·group + g), and a block of keys.
#pragma once
#include "cpu.h"

namespace graft::cpu {

constexpr int64_t kMaxDim = 256;
constexpr int64_t kKeyBlock = 64;
constexpr int64_t kQueryRows = 96;  // rows of a block: queries times heads of a group

// Rounded up to whole vectors of every instruction set.
inline int64_t pad16(int64_t n) { return (n + 15) / 16 * 16; }

// The buffers of one thread; all float, [rows][padded dim] unless said.
struct AttentionBuffers {
    float *q, *d_o, *o;            // kQueryRows rows; q transposed [dim][kQueryRows] in the forward pass
    float *k, *v, *kt, *vt;        // kKeyBlock rows; kt, vt [dim][kKeyBlock]
    float *dk, *dv;
    float *s, *dp;                 // scores: [kKeyBlock][kQueryRows] forward, [kQueryRows][kKeyBlock] backward
    float *top, *total, *place;    // one a row
};

// A block of queries of one sequence.
struct QueryBlock {
    int64_t first, count;  // rows of q
    int64_t place;         // of the first, among the keys
};

// Keys [begin, end) of rows that start at row first of k and v.
struct KeyBlock {
    const graft_tensor *k, *v;
    int64_t first, begin, count;
    bool prefix;  // seen by every query
};

// The constants of a call, of either direction.
struct AttentionShape {
    int64_t heads, kv_heads, dim, window, group, padded;
    float scale, soft_cap;
    bool causal;
    int64_t queries_per_block() const { return std::max<int64_t>(1, std::min<int64_t>(64, kQueryRows / group)); }
};

}  // namespace graft::cpu

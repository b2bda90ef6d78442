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
    float *p;                      // as many, for the bf16 pairs of attention_bf16.cc
    float *top, *total;            // one a row
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

// Which of the keys of a block the query at a place sees: [begin, end), counted
// from the block's first.
inline Range visible(const AttentionShape& a, const KeyBlock& keys, int64_t place) {
    if (keys.prefix) return {0, keys.count};
    const int64_t end = a.causal ? std::max<int64_t>(0, std::min(keys.count, place - keys.begin + 1)) : keys.count;
    const int64_t begin = a.window > 0 ? std::max<int64_t>(0, place - a.window + 1 - keys.begin) : 0;
    return {std::min(begin, end), end};
}
// Whether every query of the block sees every key of the block.
inline bool sees_all(const AttentionShape& a, const QueryBlock& block, const KeyBlock& keys) {
    const Range first = visible(a, keys, block.place), last = visible(a, keys, block.place + block.count - 1);
    return last.begin == 0 && first.end == keys.count;
}

// What a type and an instruction set do with the blocks. The forward pass calls
// start, step for each block of keys, finish; the backward pass load_keys and
// then step_back for each block of queries, which adds to dk and dv of the
// buffers and to dq where it is given.
struct AttentionKernels {
    void (*start)(const AttentionBuffers&, const AttentionShape&, const graft_tensor& q, const QueryBlock&, int64_t kv_head);
    void (*step)(const AttentionBuffers&, const AttentionShape&, const QueryBlock&, const KeyBlock&, int64_t kv_head);
    void (*finish)(const AttentionBuffers&, const AttentionShape&, const graft_tensor& o, const graft_tensor& lse,
                   const QueryBlock&, int64_t kv_head);
    void (*load_keys)(const AttentionBuffers&, const AttentionShape&, const KeyBlock&, int64_t kv_head);
    void (*step_back)(const AttentionBuffers&, const AttentionShape&, const graft_attention_backward_args&,
                      const QueryBlock&, const KeyBlock&, int64_t kv_head, const float* delta, float* dq);
    void (*deltas)(float* delta, const AttentionShape&, const graft_attention_backward_args&, int64_t t);
    void (*narrow)(void* to, const float* from, int64_t dim);
};

// Replaces what vdpbf16ps does better: bf16 storage, an even dim, and a CPU that has it.
void use_bf16_products(AttentionKernels*);

}  // namespace graft::cpu

// The low-rank side of adapters: products that are bound by the bytes of x and dy,
// each of which is read once for all adapters of a call.
#pragma once

#include "gemm.cuh"

namespace graft::cuda {

constexpr int kMaxStacked = 8;

// Columns [first, first + rank) of the stacked low-rank matrices belong to one adapter.
struct Slice {
    int first, rank;
    float scale;
    bf16* xa;       // [T, rank]; may be absent
    int64_t xa_pitch;
    float* db;      // [out, rank]; may be absent
    int64_t db_pitch;
    const float* gate;  // [T], times scale; may be absent
};
struct Stack {
    Slice at[kMaxStacked];
    int count = 0, rank = 0;
};

// s [T, rank] = gate * scale * x A^T, also written to each xa; A [rank, in] stacked.
struct LoraDown {
    Operand x, a;
    bf16* s;
    int64_t tokens, in;
};
// ds [T, rank] = gate * scale * dy B and, where given, db += dy^T S; B [out, rank] and S
// [T, rank] stacked, rank elements apart as s and ds are.
struct LoraBackward {
    Operand dy, b;
    const bf16* s;
    bf16* ds;
    int64_t tokens, out;
};

// taken is false where the shapes or the workspace do not allow it.
graft_status* lora_down(graft_context* c, const LoraDown& p, const Stack& stack, Carver workspace, bool* taken);
graft_status* lora_backward(graft_context* c, const LoraBackward& p, const Stack& stack, Carver workspace, bool* taken);

}  // namespace graft::cuda

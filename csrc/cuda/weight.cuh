// Weights as products want them: in the element type of the activations,
// whatever their storage form.
#pragma once

#include "gemm.cuh"
#include "slots.cuh"

namespace graft::cuda {

graft_status* check_weight(const graft_weight& w, int32_t type);

// Whether the weight lies as a product of that type takes it.
bool is_ready(const graft_weight& w, int32_t type);

// Writes rows [row0, row0 + rows) x columns [col0, col0 + cols) of the weight to
// dst, in f32 or bf16, rows pitch elements apart, on that stream.
graft_status* materialise(const graft_weight& w, int64_t row0, int64_t rows, int64_t col0, int64_t cols,
                          void* dst, int64_t pitch, int32_t type, cudaStream_t stream);

// Calls use(first, count, operand) for pieces of the weight's rows (or columns)
// that fit a slot; the operand is in the given type. use gets the workspace.
template <class Use>
graft_status* for_pieces(graft_context* c, const graft_weight& w, int32_t type, bool of_rows, Carver workspace, Use&& use) {
    if (is_ready(w, type)) {
        GRAFT_TRY(use(0, of_rows ? w.out : w.in, Operand{w.data.data, w.data.pitch}, workspace));
        return nullptr;
    }
    const int64_t size = type == GRAFT_BF16 ? 2 : 4, across = of_rows ? w.in : w.out, along = of_rows ? w.out : w.in;
    int64_t piece = c->slot_bytes / (size * (across > 0 ? across : 1));
    if (piece >= along) piece = along;
    else if (piece >= 128) piece = piece / 128 * 128;
    if (piece < 1) return error(GRAFT_RESOURCE_EXHAUSTED, "a row of %lld weights does not fit the workspace", (long long)across);
    for (int64_t first = 0; first < along; first += piece) {
        const int64_t count = along - first < piece ? along - first : piece;
        const int64_t rows = of_rows ? count : w.out, cols = of_rows ? w.in : count;
        Slot slot;
        GRAFT_TRY(take_slot(c, given(w.absmax), &slot));
        GRAFT_TRY(materialise(w, of_rows ? first : 0, rows, of_rows ? 0 : first, cols, slot.data, cols, type, slot.stream));
        GRAFT_TRY(slot_filled(c, slot));
        GRAFT_TRY(use(first, count, Operand{slot.data, cols}, workspace));
        GRAFT_TRY(slot_consumed(c, slot));
    }
    return nullptr;
}

}  // namespace graft::cuda

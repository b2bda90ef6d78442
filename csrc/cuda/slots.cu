// The order between the two streams that share the slots of decoded weights.
#include "slots.cuh"

namespace graft::cuda {

graft_status* weights_written(graft_context* c) {
    if (!c->capturing) return nullptr;
    return check(cudaEventRecord(c->written, c->stream), "event");
}

graft_status* take_slot(graft_context* c, bool ahead, Slot* slot) {
    const int i = c->next_slot;
    c->next_slot = (i + 1) % graft_context::kSlots;
    ahead &= c->capturing;
    *slot = {i, c->slots[i].data, ahead ? c->ahead : c->stream};
    if (!ahead) return nullptr;
    GRAFT_TRY(check(cudaStreamWaitEvent(c->ahead, c->written, 0), "wait for the weights"));
    if (!c->slots[i].used) return nullptr;
    return check(cudaStreamWaitEvent(c->ahead, c->slots[i].read, 0), "wait for a product");
}

graft_status* slot_filled(graft_context* c, const Slot& slot) {
    if (slot.stream == c->stream) return nullptr;
    GRAFT_TRY(check(cudaEventRecord(c->slots[slot.number].filled, slot.stream), "event"));
    return check(cudaStreamWaitEvent(c->stream, c->slots[slot.number].filled, 0), "wait for decoded weights");
}

graft_status* slot_consumed(graft_context* c, const Slot& slot) {
    if (!c->capturing) return nullptr;
    c->slots[slot.number].used = true;
    return check(cudaEventRecord(c->slots[slot.number].read, c->stream), "event");
}

}  // namespace graft::cuda

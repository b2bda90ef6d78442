// Where weights are decoded for their products: two slots of the workspace, in turn.
//
// While a program is recorded a second stream fills the slots of frozen four-bit
// weights. It waits for the product that last read the slot and for nothing else, so
// that in the graph the weights of the next layer are decoded beside the products of
// this one. Without a recording everything is on the one stream, in order.
#pragma once

#include "context.cuh"

namespace graft::cuda {

struct Slot {
    int number = 0;
    void* data = nullptr;
    cudaStream_t stream = nullptr;  // of what fills it
};

// take, then what fills the slot, on its stream; filled, then what reads it, on the
// context's; consumed. ahead says that the weight was complete at weights_written.
graft_status* take_slot(graft_context* c, bool ahead, Slot* slot);
graft_status* slot_filled(graft_context* c, const Slot& slot);
graft_status* slot_consumed(graft_context* c, const Slot& slot);

// What is decoded after this call waits for what was issued before it: at the start
// of a recording, and by an operation that writes four-bit weights.
graft_status* weights_written(graft_context* c);

}  // namespace graft::cuda

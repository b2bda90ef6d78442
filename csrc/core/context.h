// The context of a CPU device: its threads, its instruction set, and the one
// block of workspace that operations carve for packing and partial sums.
#pragma once
#include <cstddef>

#include "../include/graft/context.h"
#include "isa.h"
#include "pool.h"
#include "status.h"

namespace graft {

// Zeroed memory, aligned to huge pages where it is large and advised to use
// them; NULL if there is none. Release takes the size that was asked for.
void* allocate_pages(int64_t bytes) noexcept;
void release_pages(void* data, int64_t bytes) noexcept;

// Cores that this process may use.
int available_threads();

}  // namespace graft

struct graft_context {
    graft_context(int threads, graft::Isa isa, void* workspace, int64_t bytes)
        : pool(threads), isa(isa), workspace(workspace), workspace_bytes(bytes) {}
    ~graft_context() { graft::release_pages(workspace, workspace_bytes); }

    graft::Pool pool;
    const graft::Isa isa;
    void* const workspace;
    const int64_t workspace_bytes;
};

namespace graft {

graft_status* create_context(graft_context** out, const graft_context_options*);

// Hands out parts of a block, each aligned to 64 bytes. Past its end take
// returns NULL and check says how much was asked for: call check before use.
class Carver {
  public:
    Carver(void* data, int64_t bytes);
    explicit Carver(const graft_context& context) : Carver(context.workspace, context.workspace_bytes) {}

    template <class T> T* take(int64_t count) { return static_cast<T*>(bytes(count * int64_t(sizeof(T)))); }
    void* bytes(int64_t);
    // what names the block: "workspace", "scratch".
    graft_status* check(const char* what) const;

  private:
    char* data_;
    int64_t size_, used_ = 0;
};

}  // namespace graft

#include "context.h"

#include <sched.h>
#include <sys/mman.h>

#include <cstdint>
#include <memory>

namespace graft {

namespace {
constexpr int64_t kHugePage = int64_t(2) << 20;

// One huge page more is mapped than used, so that the start can be aligned;
// the odd ends are given back at once.
int64_t mapped(int64_t bytes) { return (bytes + 4095) / 4096 * 4096; }
}  // namespace

void* allocate_pages(int64_t bytes) noexcept {
    if (bytes <= 0 || bytes > INT64_MAX / 2) return nullptr;
    const int64_t size = mapped(bytes), extra = bytes >= kHugePage ? kHugePage : 0;
    void* start = mmap(nullptr, size_t(size + extra), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return nullptr;
    if (!extra) return start;
    char* first = static_cast<char*>(start);
    const int64_t skip = (kHugePage - int64_t(reinterpret_cast<uintptr_t>(first) % kHugePage)) % kHugePage;
    if (skip) munmap(first, size_t(skip));
    if (extra > skip) munmap(first + skip + size, size_t(extra - skip));
    madvise(first + skip, size_t(size), MADV_HUGEPAGE);  // advice only
    return first + skip;
}

void release_pages(void* data, int64_t bytes) noexcept {
    if (data) munmap(data, size_t(mapped(bytes)));
}

int available_threads() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    const unsigned n = std::thread::hardware_concurrency();
    return n ? int(n) : 1;
}

graft_status* create_context(graft_context** out, const graft_context_options* o) {
    *out = nullptr;
    if (o->struct_size < sizeof *o)
        return error(GRAFT_INVALID_ARGUMENT, "context options: %zu bytes, expected %zu", o->struct_size, sizeof *o);
    if (o->device != 0) return error(GRAFT_UNAVAILABLE, "cpu:%d: there is only cpu:0", o->device);
    if (o->threads < 0 || o->threads > 1024)
        return error(GRAFT_INVALID_ARGUMENT, "%d threads: expected 0 to 1024", o->threads);
    Isa isa;
    GRAFT_TRY(choose_isa(&isa));
    void* workspace = nullptr;
    if (o->workspace_bytes > 0 && !(workspace = allocate_pages(o->workspace_bytes)))
        return error(GRAFT_RESOURCE_EXHAUSTED, "no %lld bytes of workspace", static_cast<long long>(o->workspace_bytes));
    try {
        *out = new graft_context(o->threads ? o->threads : available_threads(), isa, workspace, o->workspace_bytes);
    } catch (...) {
        release_pages(workspace, o->workspace_bytes);
        throw;
    }
    return nullptr;
}

Carver::Carver(void* data, int64_t bytes) : data_(static_cast<char*>(data)), size_(bytes) {
    const int64_t skip = int64_t(-reinterpret_cast<uintptr_t>(data) % 64);
    data_ += skip;
    size_ = size_ > skip ? size_ - skip : 0;
}

void* Carver::bytes(int64_t n) {
    const int64_t at = used_;
    used_ += (n + 63) / 64 * 64;
    return used_ <= size_ ? data_ + at : nullptr;
}

graft_status* Carver::check(const char* what) const {
    if (used_ <= size_) return nullptr;
    return error(GRAFT_RESOURCE_EXHAUSTED, "%lld bytes of %s needed, %lld given", static_cast<long long>(used_), what,
                 static_cast<long long>(size_));
}

}  // namespace graft

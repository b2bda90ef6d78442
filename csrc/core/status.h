// How failures are made. An entry of the table returns NULL or one of these;
// inside the library the same rule holds, and GRAFT_TRY passes it on.
#pragma once
#include <exception>
#include <new>
#include <string>

#include "../include/graft/status.h"

struct graft_status {
    graft_code code;
    std::string message;
};

namespace graft {

// A status with a printf-style message. Never NULL, never throws: without
// memory for the text it is the static status that says so.
graft_status* error(graft_code code, const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));

graft_status* out_of_memory() noexcept;
void free_status(graft_status*) noexcept;

// Runs the body of an entry: no exception leaves it.
template <class F> graft_status* guarded(F&& body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return out_of_memory();
    } catch (const std::exception& e) {
        return error(GRAFT_INTERNAL, "%s", e.what());
    } catch (...) {
        return error(GRAFT_INTERNAL, "unknown exception");
    }
}

}  // namespace graft

#define GRAFT_TRY(call) \
    do { \
        if (graft_status* status_ = (call)) return status_; \
    } while (false)

#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace graft {

graft_status* out_of_memory() noexcept {
    static graft_status status{GRAFT_RESOURCE_EXHAUSTED, "no memory"};  // short enough to need no allocation
    return &status;
}

void free_status(graft_status* status) noexcept {
    if (status != out_of_memory()) delete status;
}

graft_status* error(graft_code code, const char* format, ...) noexcept {
    char text[512];
    va_list list;
    va_start(list, format);
    std::vsnprintf(text, sizeof text, format, list);
    va_end(list);
    try {
        return new graft_status{code, text};
    } catch (...) {
        return out_of_memory();
    }
}

}  // namespace graft

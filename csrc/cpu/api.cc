// The table of the CPU.
#include <cstdio>
#include <cstdlib>

#include "cpu.h"

namespace graft::cpu {
namespace {

int32_t status_code(const graft_status* status) { return status ? status->code : 0; }
const char* status_message(const graft_status* status) { return status ? status->message.c_str() : ""; }

graft_status* device_count(int32_t* count) {
    *count = 1;
    return nullptr;
}

// The value of the first line of a file of /proc that starts with key.
void read_proc(const char* path, const char* key, char* out, size_t size) {
    out[0] = 0;
    std::FILE* file = std::fopen(path, "r");
    if (!file) return;
    char line[256];
    while (std::fgets(line, sizeof line, file)) {
        if (std::strncmp(line, key, std::strlen(key))) continue;
        const char* value = line + std::strlen(key);
        value += std::strspn(value, " \t:");
        std::snprintf(out, size, "%.*s", int(std::strcspn(value, "\n")), value);
        break;
    }
    std::fclose(file);
}

int64_t memory(const char* key) {
    char text[64];
    read_proc("/proc/meminfo", key, text, sizeof text);
    return 1024 * std::strtoll(text, nullptr, 10);
}

graft_status* device_info(int32_t device, graft_device_info* info) {
    if (device != 0) return error(GRAFT_UNAVAILABLE, "cpu:%d: there is only cpu:0", device);
    if (info->struct_size < sizeof *info)
        return error(GRAFT_INVALID_ARGUMENT, "device info: %zu bytes, expected %zu", info->struct_size, sizeof *info);
    Isa isa;
    GRAFT_TRY(choose_isa(&isa));
    *info = {};
    info->struct_size = sizeof *info;
    read_proc("/proc/cpuinfo", "model name", info->name, sizeof info->name);
    std::snprintf(info->arch, sizeof info->arch, "%s", name(isa));
    info->threads = available_threads();
    info->memory_total = memory("MemTotal");
    info->memory_free = memory("MemAvailable");
    return nullptr;
}

graft_status* context_create(graft_context** out, const graft_context_options* options) {
    return guarded([&] { return create_context(out, options); });
}
void context_destroy(graft_context* context) { delete context; }

graft_status* allocate(graft_context*, void** out, int64_t bytes) {
    *out = allocate_pages(bytes);
    return *out ? nullptr : error(GRAFT_RESOURCE_EXHAUSTED, "no %lld bytes", static_cast<long long>(bytes));
}
void release(graft_context*, void* data, int64_t bytes) { release_pages(data, bytes); }

graft_status* copy(graft_context*, void* dst, const void* src, int64_t bytes) {
    if (bytes) std::memcpy(dst, src, size_t(bytes));
    return nullptr;
}
graft_status* synchronize(graft_context*) { return nullptr; }

// An operation as an entry of the table: nothing is thrown out of it.
template <class Args, graft_status* (*op)(graft_context*, const Args*)>
graft_status* entry(graft_context* context, const Args* args) {
    return guarded([&] { return op(context, args); });
}
#define GRAFT_ENTRY(op) api.op = entry<graft_##op##_args, op>;

graft_api make_table() {
    graft_api api = {};
    api.struct_size = sizeof api;
    api.abi_major = GRAFT_ABI_MAJOR;
    api.abi_minor = GRAFT_ABI_MINOR;
    api.name = "cpu";
    api.status_code = status_code;
    api.status_message = status_message;
    api.status_free = free_status;
    api.device_count = device_count;
    api.device_info = device_info;
    api.context_create = context_create;
    api.context_destroy = context_destroy;
    api.allocate = allocate;
    api.release = release;
    api.upload = copy;
    api.download = copy;
    api.synchronize = synchronize;
    GRAFT_EACH_OP(GRAFT_ENTRY)
    return api;
}

}  // namespace
}  // namespace graft::cpu

extern "C" const graft_api* graft_cpu_api(void) {
    static const graft_api api = graft::cpu::make_table();
    return &api;
}

#include "isa.h"

#include <cstdlib>
#include <cstring>

namespace graft {

namespace {
constexpr Isa kIsas[] = {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512bf16};

// __builtin_cpu_supports also checks that the system saves the wide registers.
Isa widest() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return __builtin_cpu_supports("avx512bf16") ? Isa::avx512bf16 : Isa::avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
    return Isa::portable;
}
}  // namespace

const char* name(Isa isa) {
    switch (isa) {
        case Isa::avx512bf16: return "avx512bf16";
        case Isa::avx512: return "avx512";
        case Isa::avx2: return "avx2";
        case Isa::portable: break;
    }
    return "portable";
}

graft_status* choose_isa(Isa* out) {
    const Isa best = widest();
    *out = best;
    const char* forced = std::getenv("GRAFT_CPU_ISA");
    if (!forced || !*forced) return nullptr;
    for (Isa isa : kIsas) {
        if (std::strcmp(forced, name(isa))) continue;
        if (isa > best)
            return error(GRAFT_UNAVAILABLE, "GRAFT_CPU_ISA=%s: this CPU has no more than %s", forced, name(best));
        *out = isa;
        return nullptr;
    }
    return error(GRAFT_INVALID_ARGUMENT, "GRAFT_CPU_ISA=%.64s: expected portable, avx2, avx512 or avx512bf16", forced);
}

}  // namespace graft

// Vectors of floats, once for each instruction set: namespaces portable, avx2
// and avx512, each with the type F of kLanes floats and the functions of
// simd_body.h. They are gcc vector types, so that a kernel is written once as
// arithmetic on F; each_isa.h compiles it three times.
#pragma once
#include "cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Every function that touches F is inlined or local: no vector crosses an ABI.
#pragma GCC diagnostic ignored "-Wpsabi"

#define GRAFT_KERNELS "simd_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

// Calls kernel in the namespace of the context's instruction set.
#if defined(__x86_64__)
#define GRAFT_DISPATCH(context, kernel, ...) \
    do { \
        switch ((context)->isa) { \
            case ::graft::Isa::avx512bf16: \
            case ::graft::Isa::avx512: ::graft::cpu::avx512::kernel(__VA_ARGS__); break; \
            case ::graft::Isa::avx2: ::graft::cpu::avx2::kernel(__VA_ARGS__); break; \
            case ::graft::Isa::portable: ::graft::cpu::portable::kernel(__VA_ARGS__); break; \
        } \
    } while (false)
#else
#define GRAFT_DISPATCH(context, kernel, ...) ::graft::cpu::portable::kernel(__VA_ARGS__)
#endif

// Includes the file GRAFT_KERNELS once for each instruction set. In it, FAST
// marks functions, INLINE those that are inlined into them, and GRAFT_LANES is
// the number of floats of a vector. cgo allows no -mavx512f, and gcc gives a
// lambda no target attribute: kernels are plain functions and templates.
#define FAST GRAFT_TARGET
#define INLINE GRAFT_TARGET inline __attribute__((always_inline))

#if defined(__x86_64__)
#define GRAFT_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define GRAFT_LANES 16
namespace graft::cpu::avx512 {
#include GRAFT_KERNELS
}
#undef GRAFT_TARGET
#undef GRAFT_LANES

#define GRAFT_TARGET __attribute__((target("avx2,fma")))
#define GRAFT_LANES 8
namespace graft::cpu::avx2 {
#include GRAFT_KERNELS
}
#undef GRAFT_TARGET
#undef GRAFT_LANES
#endif

#define GRAFT_TARGET
#define GRAFT_LANES 4
namespace graft::cpu::portable {
#include GRAFT_KERNELS
}
#undef GRAFT_TARGET
#undef GRAFT_LANES

#undef FAST
#undef INLINE

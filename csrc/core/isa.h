// Which instruction set the CPU kernels use.
#pragma once
#include "status.h"

namespace graft {

enum class Isa { portable, avx2, avx512, avx512bf16 };

const char* name(Isa);

// The widest set that this machine has, or the one that the environment
// variable GRAFT_CPU_ISA names, for tests. One that the machine lacks is
// refused.
graft_status* choose_isa(Isa* out);

}  // namespace graft

// Weights as the CPU reads them: dense, or NF4 with its scales.
#pragma once
#include "cpu.h"
#include "dynamic.h"

namespace graft::cpu {

extern const float kNF4Table[16];

// The scales of an NF4 matrix: float32, or doubly quantised.
struct NF4Scales {
    const float* absmax = nullptr;
    const uint8_t* codes = nullptr;
    const float* nested = nullptr;
    float offset = 0;

    // The scale of a block of 64. Product and sum are rounded apart, as
    // bitsandbytes does: the barrier keeps the compiler from fusing them.
    float operator()(int64_t block) const {
        if (absmax) return absmax[block];
        float product = kSignedMap.value[codes[block]] * nested[uint64_t(block) / 256];
#if defined(__x86_64__)
        asm("" : "+x"(product));
#else
        asm("" : "+m"(product));
#endif
        return product + offset;
    }
};

// A weight [out, in] for activations of a type: its parts are there, in one of
// the storage forms.
graft_status* check_weight(const graft_weight&, graft_dtype activations);
inline bool is_nf4(const graft_weight& w) { return given(w.absmax); }
NF4Scales nf4_scales(const graft_weight&);

}  // namespace graft::cpu

// Weights as the CPU reads them: dense, or NF4 with its scales.
#pragma once
#include "cpu.h"
#include "dynamic.h"

namespace graft::cpu {

extern const float kNF4Table[16];
constexpr int64_t kNF4Block = 64;  // elements that share a scale

// Calls part(row, column, i, n) for the parts of block b, of n elements from its
// i-th on, that lie in one row of k: blocks are counted over rows.
template <class Part> void each_part(int64_t b, int64_t k, Part&& part) {
    int64_t row = b * kNF4Block / k, column = b * kNF4Block % k;
    for (int64_t i = 0; i < kNF4Block; row++, column = 0) {
        const int64_t n = std::min(kNF4Block - i, k - column);
        part(row, column, i, n);
        i += n;
    }
}

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
// The parts of one in NF4, whose rows may end within blocks.
graft_status* check_nf4(const graft_weight&);
inline bool is_nf4(const graft_weight& w) { return given(w.absmax); }
NF4Scales nf4_scales(const graft_weight&);

}  // namespace graft::cpu

// What the CPU operations share: the type bf16 and the split of rows over
// threads. Every operation is one function
//     graft_status* name(graft_context*, const graft_name_args*)
// in namespace graft::cpu, put in the table by api.cc.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../core/check.h"
#include "../core/context.h"
#include "../include/graft/graft.h"

namespace graft::cpu {

// bfloat16 storage: the upper half of a float.
struct bf16 {
    uint16_t bits;
};

inline float widen(float x) { return x; }
inline float widen(bf16 x) {
    const uint32_t bits = uint32_t(x.bits) << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
}

// Rounds to nearest even; a NaN stays one.
inline bf16 to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return {uint16_t(bits >> 16 | 0x40)};
    return {uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

inline void put(float* to, float x) { *to = x; }
inline void put(bf16* to, float x) { *to = to_bf16(x); }

struct Range {
    int64_t begin, end;
};
// Part i of n of [0, count): sizes differ by one at most.
inline Range part(int64_t count, int64_t i, int64_t n) { return {count * i / n, count * (i + 1) / n}; }

// Small work is not worth waking a thread for.
template <class F> void for_rows(graft_context* context, int64_t rows, int64_t cost, F&& body) {
    if (rows * cost < 16384) return body(Range{0, rows});
    context->pool.run([&](int thread, int threads) {
        const Range mine = part(rows, thread, threads);
        if (mine.begin < mine.end) body(mine);
    });
}

// Results from this size on bypass the cache, where they are aligned to its lines.
constexpr int64_t kStreamBytes = int64_t(24) << 20;

// Runs the statements with T as the element type of a float tensor.
#define GRAFT_BY_TYPE(tensor, T, ...) \
    do { \
        if ((tensor).dtype == GRAFT_BF16) { \
            using T = ::graft::cpu::bf16; \
            __VA_ARGS__; \
        } else { \
            using T = float; \
            __VA_ARGS__; \
        } \
    } while (false)

#define GRAFT_DECLARE(op) graft_status* op(graft_context*, const graft_##op##_args*);
GRAFT_EACH_OP(GRAFT_DECLARE)
#undef GRAFT_DECLARE

}  // namespace graft::cpu

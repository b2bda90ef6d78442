// What the CPU operations share: the type bf16, checks of arguments, and the
// split of rows over threads. Every operation is one function
//     graft_status* name(graft_context*, const graft_name_args*)
// in namespace graft::cpu, listed below and put in the table by api.cc.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

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

inline bool given(const graft_tensor& t) { return t.data != nullptr; }
inline int64_t rows(const graft_tensor& t) { return t.rank > 0 ? t.shape[0] : 1; }
inline int64_t cols(const graft_tensor& t) {
    int64_t n = 1;
    for (int i = 1; i < t.rank; i++) n *= t.shape[i];
    return n;
}
inline int64_t elements(const graft_tensor& t) { return rows(t) * cols(t); }
template <class T> T* data(const graft_tensor& t) { return static_cast<T*>(t.data); }

// The types that check_shape lets through: bit i stands for graft_dtype i.
enum Types : unsigned {
    kF32 = 1u << GRAFT_F32,
    kBF16 = 1u << GRAFT_BF16,
    kFloat = kF32 | kBF16,
    kI32 = 1u << GRAFT_I32,
    kU32 = 1u << GRAFT_U32,
    kU8 = 1u << GRAFT_U8,
    kAny = ~0u
};
inline Types same(const graft_tensor& t) { return Types(1u << t.dtype); }

// A tensor that is there, of one of the types, with that many rows and
// elements a row (−1: any) and a pitch that holds them.
graft_status* check_shape(const char* name, const graft_tensor& t, unsigned types, int64_t rows, int64_t cols);
// The same for one that may be absent.
graft_status* check_optional(const char* name, const graft_tensor& t, unsigned types, int64_t rows, int64_t cols);
// Rows that follow one another without a gap, in any shape of that length.
graft_status* check_flat(const char* name, const graft_tensor& t, unsigned types, int64_t elements);

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

#define GRAFT_DECLARE(op) graft_status* op(graft_context*, const graft_##op##_args*)
GRAFT_DECLARE(zero);
GRAFT_DECLARE(cast);
GRAFT_DECLARE(add);
GRAFT_DECLARE(embedding);
GRAFT_DECLARE(embedding_backward);
GRAFT_DECLARE(scatter_rows);
GRAFT_DECLARE(rms_norm);
GRAFT_DECLARE(rms_norm_backward);
GRAFT_DECLARE(linear);
GRAFT_DECLARE(linear_backward);
GRAFT_DECLARE(rope_table);
GRAFT_DECLARE(rope);
GRAFT_DECLARE(attention);
GRAFT_DECLARE(attention_backward);
GRAFT_DECLARE(swiglu);
GRAFT_DECLARE(swiglu_backward);
GRAFT_DECLARE(linear_cross_entropy);
GRAFT_DECLARE(grad_norm);
GRAFT_DECLARE(adamw);
GRAFT_DECLARE(sample);
GRAFT_DECLARE(activation);
GRAFT_DECLARE(activation_backward);
GRAFT_DECLARE(layer_norm);
GRAFT_DECLARE(layer_norm_backward);
GRAFT_DECLARE(pool);
GRAFT_DECLARE(pool_backward);
GRAFT_DECLARE(classification_loss);
GRAFT_DECLARE(adamw8);
GRAFT_DECLARE(dropout);
GRAFT_DECLARE(weight_norm);
GRAFT_DECLARE(magnitude);
GRAFT_DECLARE(magnitude_backward);
#undef GRAFT_DECLARE

}  // namespace graft::cpu

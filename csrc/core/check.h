// What a tensor of the interface is (its rows, columns and data), and the
// checks of arguments that the operations of every device begin with.
#pragma once
#include "../include/graft/tensor.h"
#include "status.h"

namespace graft {

inline bool given(const graft_tensor& t) { return t.data != nullptr; }
inline int64_t rows(const graft_tensor& t) { return t.rank > 0 ? t.shape[0] : 1; }
inline int64_t cols(const graft_tensor& t) {
    int64_t n = 1;
    for (int i = 1; i < t.rank; i++) n *= t.shape[i];
    return n;
}
inline int64_t elements(const graft_tensor& t) { return rows(t) * cols(t); }
template <class T> T* data(const graft_tensor& t) { return static_cast<T*>(t.data); }

// The types that a check lets through: bit i stands for graft_dtype i.
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
// elements a row (-1: any) and a pitch that holds them.
graft_status* check_shape(const char* name, const graft_tensor& t, unsigned types, int64_t rows, int64_t cols);
// The same for one that may be absent.
graft_status* check_optional(const char* name, const graft_tensor& t, unsigned types, int64_t rows, int64_t cols);
// Rows that follow one another without a gap, in any shape of that length (-1: any).
graft_status* check_flat(const char* name, const graft_tensor& t, unsigned types, int64_t elements);

}  // namespace graft

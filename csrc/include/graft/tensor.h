// How tensors cross: by value, as plain data.
#ifndef GRAFT_TENSOR_H
#define GRAFT_TENSOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum graft_dtype {
    GRAFT_F32 = 0,
    GRAFT_BF16 = 1,
    GRAFT_F64 = 2,  // no native device has operations on it
    GRAFT_I32 = 3,
    GRAFT_U32 = 4,
    GRAFT_U8 = 5,
} graft_dtype;

// Row-major elements. data is an address of the device; NULL stands for "no
// tensor". Rows are the first dimension; pitch is the number of elements from
// one row to the next, at least the product of the other dimensions.
typedef struct graft_tensor {
    void* data;
    int32_t dtype;  // graft_dtype
    int32_t rank;   // 1 to 4
    int64_t shape[4];
    int64_t pitch;
} graft_tensor;

// A matrix [out, in] in one of its storage forms.
//   dense  data [out, in], f32 or bf16; the other parts are absent
//   NF4    data [out, in/2] u8: two codes a byte, high nibble first;
//          absmax [out*in/64] f32, or u8 codes of the signed dynamic map with
//          nested [ceil(out*in/64/256)] f32 and offset [1] f32
// The value of an NF4 element is table[code] * absmax in f32, rounded once to
// the type of the activations, which is bitsandbytes' rule.
typedef struct graft_weight {
    graft_tensor data, absmax, nested, offset;
    int64_t out, in;
} graft_weight;

#ifdef __cplusplus
}
#endif
#endif

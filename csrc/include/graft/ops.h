// The operations: one argument struct each, outputs first.
//
// T is the number of tokens of a micro-batch, R of rows that carry a target,
// h a hidden size, r the rank of an adapter. "x" is the type of activations:
// f32 or bf16, the same for all activations of a call. Statistics, gradients of
// parameters and losses are f32. An absent tensor has data == NULL. Scratch is
// u8 bytes sized by the formulas of the caller (bindings/profile.go); it comes
// with unspecified contents, as outputs do. Sums have a fixed order: the same
// call gives the same bits, on any number of threads.
//
// The precise meaning of each operation (formulas, in-place use, sources) is
// written once, at the method of the same name of Ops in bindings/ops.go.
#ifndef GRAFT_OPS_H
#define GRAFT_OPS_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct graft_zero_args { graft_tensor dst; } graft_zero_args;

typedef struct graft_cast_args { graft_tensor dst, src; } graft_cast_args;

// dst = a + b; dst may be a.
typedef struct graft_add_args { graft_tensor dst, a, b; } graft_add_args;

// y [T,h] = table[ids]; table [V,h] in the type of y or f32; ids [T] i32.
typedef struct graft_embedding_args { graft_tensor y, table, ids; } graft_embedding_args;

// dtable [V,h] f32 += dy [T,h] at ids, in the order of t.
typedef struct graft_embedding_backward_args { graft_tensor dtable, dy, ids; } graft_embedding_backward_args;

// dst[rows[i]] = src[i]; rows [n] i32.
typedef struct graft_scatter_rows_args { graft_tensor dst, src, rows; } graft_scatter_rows_args;

// y = w * (x+residual) * rstd, sum = x+residual. w [h] in the type of x or f32.
typedef struct graft_rms_norm_args {
    graft_tensor y, sum, rstd;
    graft_tensor x, residual, w;
    float eps;
    int32_t unit_offset;
} graft_rms_norm_args;

// dx (written, or added to with accumulate; may be absent; may be dy), dw f32 (added to; may be absent).
typedef struct graft_rms_norm_backward_args {
    graft_tensor dx, dw;
    graft_tensor dy, x, rstd, w;
    float eps;
    int32_t unit_offset;
    int32_t accumulate;
} graft_rms_norm_backward_args;

// Dropout of an adapter's input: Philox4x32-10, key seed[0..1], counter (e/4, site, seed[2], seed[3]).
typedef struct graft_dropout {
    float p;  // 0: none
    uint32_t threshold;  // p * 2^32; an element is kept where its word is not below
    uint32_t site;
    graft_tensor seed;  // [4] u32
} graft_dropout;

// One adapter: xa = gate * scale * drop(x) * A^T, y += xa * B^T. A [r,in], B [out,r] f32; xa [T,r] in the type of x.
typedef struct graft_low_rank {
    graft_tensor a, b, xa;
    float scale;
    graft_dropout drop;
    graft_tensor da, db;  // backward: f32, added to; may be absent
    graft_tensor gate;    // [T] f32; may be absent
} graft_low_rank;

// y [T,out] = x W^T + bias + sum of adapters, which are an array of their own.
typedef struct graft_linear_args {
    graft_tensor y;
    graft_tensor x;
    graft_weight w;
    graft_tensor bias;
    graft_low_rank* adapters;
    int64_t num_adapters;
    graft_tensor scratch;
} graft_linear_args;

typedef struct graft_linear_backward_args {
    graft_tensor dx, dw, dbias;  // dx by accumulate; dw, dbias f32, added to; each may be absent
    graft_tensor dy, x;
    graft_weight w;
    graft_low_rank* adapters;
    int64_t num_adapters;
    graft_tensor scratch;
    int32_t accumulate;
} graft_linear_backward_args;

// y = drop(x), or x - drop(x) with rest; written, or added to with accumulate.
typedef struct graft_dropout_args {
    graft_tensor y;
    graft_tensor x;
    graft_dropout drop;
    int32_t accumulate, rest;
} graft_dropout_args;

// norm [out] f32 = the length of each row of W + scale * B A. A [r,in], B [out,r] f32.
typedef struct graft_weight_norm_args {
    graft_tensor norm;
    graft_weight w;
    graft_tensor a, b;
    float scale;
} graft_weight_norm_args;

// y [T,out] = residual + (1 + gate (m/norm - 1)) z + bias; y may be z or residual. m, norm [out], gate [T] f32.
typedef struct graft_magnitude_args {
    graft_tensor y;
    graft_tensor z, residual, m, norm, bias, gate;  // residual, bias and gate may be absent
} graft_magnitude_args;

typedef struct graft_magnitude_backward_args {
    graft_tensor dz, dm;  // dz written, dm f32 added to; each may be absent
    graft_tensor dy, z, m, norm, gate;
} graft_magnitude_backward_args;

// table [T,dim] = [cos | sin](positions * freq) * scale.
typedef struct graft_rope_table_args {
    graft_tensor table;
    graft_tensor positions, freq;
    float scale;
} graft_rope_table_args;

// y = x rotated; y may be x. x [T, heads*head_dim], table [T,dim], dim <= head_dim.
typedef struct graft_rope_args {
    graft_tensor y;
    graft_tensor x, table;
    int64_t head_dim;
    int32_t inverse;
} graft_rope_args;

typedef struct graft_attention_args {
    graft_tensor o, lse;
    graft_tensor q, k, v, prefix_k, prefix_v, cu, keys;
    int64_t heads, kv_heads, dim, window;
    float scale, soft_cap;
    int32_t causal;
    graft_tensor scratch;
} graft_attention_args;

typedef struct graft_attention_backward_args {
    graft_tensor dq, dk, dv, dpk, dpv;
    graft_tensor d_o, o, lse, q, k, v, prefix_k, prefix_v, cu;
    int64_t heads, kv_heads, dim, window;
    float scale, soft_cap;
    int32_t causal;
    graft_tensor scratch;
} graft_attention_backward_args;

typedef struct graft_swiglu_args { graft_tensor y, gate, up; } graft_swiglu_args;

// dgate may be gate, dup may be up.
typedef struct graft_swiglu_backward_args { graft_tensor dgate, dup, dy, gate, up; } graft_swiglu_backward_args;

typedef struct graft_linear_cross_entropy_args {
    graft_tensor loss, dx, dw;  // loss [2] f32, added to; dx [T,h], dw [V,h] f32 may be absent
    graft_tensor x;
    graft_weight w;
    graft_tensor rows, targets, weights, inverse;
    float soft_cap, label_smoothing, z_loss;
    int64_t chunk_rows;  // rows whose logits exist at once
    graft_tensor scratch;
} graft_linear_cross_entropy_args;

typedef struct graft_grad_norm_args {
    graft_tensor norm;  // [4] f32: norm, clip factor, finite, steps applied
    graft_tensor g, loss;
    float max_norm;
} graft_grad_norm_args;

// p, m, v in place; all f32 [n].
typedef struct graft_adamw_args {
    graft_tensor p, m, v;
    graft_tensor g, norm, lr;
    float beta1, beta2, eps, weight_decay, lr_scale;
} graft_adamw_args;

typedef struct graft_sample_args {
    graft_tensor ids;
    graft_tensor logits, seen, seed;
    float temperature, top_p, min_p, repetition_penalty;
    int64_t top_k;
    graft_tensor scratch;
} graft_sample_args;

// f of the two below, as ActivationFunction of bindings/ops.go.
enum { GRAFT_GELU, GRAFT_GELU_TANH, GRAFT_TANH, GRAFT_RELU };

// y = f(x); y may be x.
typedef struct graft_activation_args {
    graft_tensor y, x;
    int32_t f;
} graft_activation_args;

// dx = dy f'(x); dx may be dy or x.
typedef struct graft_activation_backward_args {
    graft_tensor dx, dy, x;
    int32_t f;
} graft_activation_backward_args;

// y = w * (x+residual - mean) * rstd + bias, sum = x+residual. w, bias [h] in the type of x or f32.
typedef struct graft_layer_norm_args {
    graft_tensor y, sum, mean, rstd;
    graft_tensor x, residual, w, bias;
    float eps;
} graft_layer_norm_args;

// dx (written, or added to with accumulate; may be absent; may be dy); dw, dbias f32 (added to; may be absent).
typedef struct graft_layer_norm_backward_args {
    graft_tensor dx, dw, dbias;
    graft_tensor dy, x, mean, rstd, w;
    int32_t accumulate;
} graft_layer_norm_backward_args;

// kind of the two below, as Pooling of bindings/ops.go.
enum { GRAFT_POOL_FIRST, GRAFT_POOL_LAST, GRAFT_POOL_MEAN, GRAFT_POOL_MAX };

// y [n,h] of the rows of each sequence of x [T,h]; cu [n+1] i32.
typedef struct graft_pool_args {
    graft_tensor y, x, cu;
    int32_t kind;
} graft_pool_args;

typedef struct graft_pool_backward_args {
    graft_tensor dx, dy, x, cu;  // x for GRAFT_POOL_MAX only
    int32_t kind;
} graft_pool_backward_args;

// kind of the loss, as ClassLoss of bindings/ops.go.
enum { GRAFT_SOFTMAX_CROSS_ENTROPY, GRAFT_BINARY_CROSS_ENTROPY, GRAFT_MEAN_SQUARED_ERROR };

typedef struct graft_classification_loss_args {
    graft_tensor loss, dlogits;  // loss [2] f32, added to; dlogits [n,C] may be absent
    graft_tensor logits, classes, values, weights, inverse;  // classes [n] i32 for softmax, else values [n,C] f32
    int32_t kind;
} graft_classification_loss_args;

// adamw with moments in eight bits: m, v [n] u8, a scale for each 256 elements.
typedef struct graft_adamw8_args {
    graft_tensor p, m, v, m_scale, v_scale;
    graft_tensor g, norm, lr;
    float beta1, beta2, eps, weight_decay, lr_scale;
} graft_adamw8_args;

// adamw with p [n] bf16, rounded at random by seed [4] u32; m, v, g [n] f32.
typedef struct graft_adamw_bf16_args {
    graft_tensor p, m, v;
    graft_tensor g, norm, lr, seed;
    float beta1, beta2, eps, weight_decay, lr_scale;
} graft_adamw_bf16_args;

// codes [n,k/2] u8, absmax [n*k/64] f32 of x [n,k] f32 or bf16.
typedef struct graft_nf4_quantize_args { graft_tensor codes, absmax, x; } graft_nf4_quantize_args;

// y [out,in] f32 or bf16 of a weight in NF4.
typedef struct graft_nf4_dequantize_args {
    graft_tensor y;
    graft_weight w;
} graft_nf4_dequantize_args;

#ifdef __cplusplus
}
#endif

// Every operation, in the order of the table; DO is a macro of one name. A new
// one goes at the end.
#define GRAFT_EACH_OP(DO) \
    DO(zero) \
    DO(cast) \
    DO(add) \
    DO(embedding) \
    DO(embedding_backward) \
    DO(scatter_rows) \
    DO(rms_norm) \
    DO(rms_norm_backward) \
    DO(linear) \
    DO(linear_backward) \
    DO(rope_table) \
    DO(rope) \
    DO(attention) \
    DO(attention_backward) \
    DO(swiglu) \
    DO(swiglu_backward) \
    DO(linear_cross_entropy) \
    DO(grad_norm) \
    DO(adamw) \
    DO(sample) \
    DO(activation) \
    DO(activation_backward) \
    DO(layer_norm) \
    DO(layer_norm_backward) \
    DO(pool) \
    DO(pool_backward) \
    DO(classification_loss) \
    DO(adamw8) \
    DO(dropout) \
    DO(weight_norm) \
    DO(magnitude) \
    DO(magnitude_backward) \
    DO(adamw_bf16) \
    DO(nf4_quantize) \
    DO(nf4_dequantize)

#endif

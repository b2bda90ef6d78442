//go:build cgo

package native

/*
#include "trampoline.h"
*/
import "C"

import "github.com/graftlm/graft/bindings"

// The operations, in the order of bindings.Ops: arguments as C sees them, and
// the call. What fails is kept, and nothing is issued after it.

// Order is void: operations run in order.
func (d *device) Order(first, then bindings.Tensor) {}

func (d *device) Zero(dst bindings.Tensor) {
	args := C.graft_zero_args{dst: d.tensor(dst)}
	if d.ready("zero", C.graft_has_zero(d.api)) {
		d.fail("zero", d.take(C.graft_call_zero(d.api, d.context, &args)))
	}
}

func (d *device) Cast(dst, src bindings.Tensor) {
	args := C.graft_cast_args{dst: d.tensor(dst), src: d.tensor(src)}
	if d.ready("cast", C.graft_has_cast(d.api)) {
		d.fail("cast", d.take(C.graft_call_cast(d.api, d.context, &args)))
	}
}

func (d *device) Add(dst, a, b bindings.Tensor) {
	args := C.graft_add_args{dst: d.tensor(dst), a: d.tensor(a), b: d.tensor(b)}
	if d.ready("add", C.graft_has_add(d.api)) {
		d.fail("add", d.take(C.graft_call_add(d.api, d.context, &args)))
	}
}

func (d *device) Embedding(y, table, ids bindings.Tensor) {
	args := C.graft_embedding_args{y: d.tensor(y), table: d.tensor(table), ids: d.tensor(ids)}
	if d.ready("embedding", C.graft_has_embedding(d.api)) {
		d.fail("embedding", d.take(C.graft_call_embedding(d.api, d.context, &args)))
	}
}

func (d *device) EmbeddingBackward(dtable, dy, ids bindings.Tensor) {
	args := C.graft_embedding_backward_args{dtable: d.tensor(dtable), dy: d.tensor(dy), ids: d.tensor(ids)}
	if d.ready("embedding_backward", C.graft_has_embedding_backward(d.api)) {
		d.fail("embedding_backward", d.take(C.graft_call_embedding_backward(d.api, d.context, &args)))
	}
}

func (d *device) ScatterRows(dst, src, rows bindings.Tensor) {
	args := C.graft_scatter_rows_args{dst: d.tensor(dst), src: d.tensor(src), rows: d.tensor(rows)}
	if d.ready("scatter_rows", C.graft_has_scatter_rows(d.api)) {
		d.fail("scatter_rows", d.take(C.graft_call_scatter_rows(d.api, d.context, &args)))
	}
}

func (d *device) RMSNorm(y, sum, rstd bindings.Tensor, a bindings.NormArgs) {
	args := C.graft_rms_norm_args{
		y: d.tensor(y), sum: d.tensor(sum), rstd: d.tensor(rstd),
		x: d.tensor(a.X), residual: d.tensor(a.Residual), w: d.tensor(a.W),
		eps: C.float(a.Eps), unit_offset: flag(a.UnitOffset),
	}
	if d.ready("rms_norm", C.graft_has_rms_norm(d.api)) {
		d.fail("rms_norm", d.take(C.graft_call_rms_norm(d.api, d.context, &args)))
	}
}

func (d *device) RMSNormBackward(dx bindings.Tensor, how bindings.Write, dw, dy, rstd bindings.Tensor, a bindings.NormArgs) {
	args := C.graft_rms_norm_backward_args{
		dx: d.tensor(dx), dw: d.tensor(dw),
		dy: d.tensor(dy), x: d.tensor(a.X), rstd: d.tensor(rstd), w: d.tensor(a.W),
		eps: C.float(a.Eps), unit_offset: flag(a.UnitOffset), accumulate: flag(bool(how)),
	}
	if d.ready("rms_norm_backward", C.graft_has_rms_norm_backward(d.api)) {
		d.fail("rms_norm_backward", d.take(C.graft_call_rms_norm_backward(d.api, d.context, &args)))
	}
}

func (d *device) Linear(y bindings.Tensor, l bindings.LinearArgs) {
	adapters, n := d.lowRank(l.Adapters, nil, nil)
	args := C.graft_linear_args{
		y: d.tensor(y), x: d.tensor(l.X), w: d.weight(l.W), bias: d.tensor(l.Bias),
		adapters: adapters, num_adapters: n, scratch: d.tensor(l.Scratch),
	}
	if d.ready("linear", C.graft_has_linear(d.api)) {
		d.fail("linear", d.take(C.graft_call_linear(d.api, d.context, &args)))
	}
}

func (d *device) LinearBackward(g bindings.LinearGrads, how bindings.Write, dy bindings.Tensor, l bindings.LinearArgs) {
	adapters, n := d.lowRank(l.Adapters, g.DA, g.DB)
	args := C.graft_linear_backward_args{
		dx: d.tensor(g.DX), dw: d.tensor(g.DW), dbias: d.tensor(g.DBias),
		dy: d.tensor(dy), x: d.tensor(l.X), w: d.weight(l.W),
		adapters: adapters, num_adapters: n, scratch: d.tensor(l.Scratch), accumulate: flag(bool(how)),
	}
	if d.ready("linear_backward", C.graft_has_linear_backward(d.api)) {
		d.fail("linear_backward", d.take(C.graft_call_linear_backward(d.api, d.context, &args)))
	}
}

func (d *device) Dropout(y bindings.Tensor, how bindings.Write, x bindings.Tensor, p bindings.Dropout, rest bool) {
	args := C.graft_dropout_args{y: d.tensor(y), x: d.tensor(x), drop: d.dropout(p), accumulate: flag(bool(how)), rest: flag(rest)}
	if d.ready("dropout", C.graft_has_dropout(d.api)) {
		d.fail("dropout", d.take(C.graft_call_dropout(d.api, d.context, &args)))
	}
}

func (d *device) WeightNorm(norm bindings.Tensor, w bindings.Weight, a, b bindings.Tensor, scale float64) {
	args := C.graft_weight_norm_args{norm: d.tensor(norm), w: d.weight(w), a: d.tensor(a), b: d.tensor(b), scale: C.float(scale)}
	if d.ready("weight_norm", C.graft_has_weight_norm(d.api)) {
		d.fail("weight_norm", d.take(C.graft_call_weight_norm(d.api, d.context, &args)))
	}
}

func (d *device) Magnitude(y bindings.Tensor, a bindings.MagnitudeArgs) {
	args := C.graft_magnitude_args{
		y: d.tensor(y), z: d.tensor(a.Z), residual: d.tensor(a.Residual), m: d.tensor(a.M), norm: d.tensor(a.Norm),
		bias: d.tensor(a.Bias), gate: d.tensor(a.Gate),
	}
	if d.ready("magnitude", C.graft_has_magnitude(d.api)) {
		d.fail("magnitude", d.take(C.graft_call_magnitude(d.api, d.context, &args)))
	}
}

func (d *device) MagnitudeBackward(dz, dm, dy bindings.Tensor, a bindings.MagnitudeArgs) {
	args := C.graft_magnitude_backward_args{
		dz: d.tensor(dz), dm: d.tensor(dm), dy: d.tensor(dy), z: d.tensor(a.Z), m: d.tensor(a.M), norm: d.tensor(a.Norm),
		gate: d.tensor(a.Gate),
	}
	if d.ready("magnitude_backward", C.graft_has_magnitude_backward(d.api)) {
		d.fail("magnitude_backward", d.take(C.graft_call_magnitude_backward(d.api, d.context, &args)))
	}
}

func (d *device) RoPETable(table, positions, freq bindings.Tensor, scale float64) {
	args := C.graft_rope_table_args{table: d.tensor(table), positions: d.tensor(positions), freq: d.tensor(freq), scale: C.float(scale)}
	if d.ready("rope_table", C.graft_has_rope_table(d.api)) {
		d.fail("rope_table", d.take(C.graft_call_rope_table(d.api, d.context, &args)))
	}
}

func (d *device) RoPE(y, x, table bindings.Tensor, headDim int, inverse bool) {
	args := C.graft_rope_args{y: d.tensor(y), x: d.tensor(x), table: d.tensor(table), head_dim: C.int64_t(headDim), inverse: flag(inverse)}
	if d.ready("rope", C.graft_has_rope(d.api)) {
		d.fail("rope", d.take(C.graft_call_rope(d.api, d.context, &args)))
	}
}

func (d *device) Attention(o, lse bindings.Tensor, a bindings.AttentionArgs) {
	args := C.graft_attention_args{
		o: d.tensor(o), lse: d.tensor(lse),
		q: d.tensor(a.Q), k: d.tensor(a.K), v: d.tensor(a.V),
		prefix_k: d.tensor(a.PrefixK), prefix_v: d.tensor(a.PrefixV), cu: d.tensor(a.Cu), keys: d.tensor(a.Keys),
		heads: C.int64_t(a.Heads), kv_heads: C.int64_t(a.KVHeads), dim: C.int64_t(a.Dim), window: C.int64_t(a.Window),
		scale: C.float(a.Scale), soft_cap: C.float(a.SoftCap), causal: flag(a.Causal), scratch: d.tensor(a.Scratch),
	}
	if d.ready("attention", C.graft_has_attention(d.api)) {
		d.fail("attention", d.take(C.graft_call_attention(d.api, d.context, &args)))
	}
}

func (d *device) AttentionBackward(g bindings.AttentionGrads, do, o, lse bindings.Tensor, a bindings.AttentionArgs) {
	args := C.graft_attention_backward_args{
		dq: d.tensor(g.DQ), dk: d.tensor(g.DK), dv: d.tensor(g.DV), dpk: d.tensor(g.DPK), dpv: d.tensor(g.DPV),
		d_o: d.tensor(do), o: d.tensor(o), lse: d.tensor(lse), q: d.tensor(a.Q), k: d.tensor(a.K), v: d.tensor(a.V),
		prefix_k: d.tensor(a.PrefixK), prefix_v: d.tensor(a.PrefixV), cu: d.tensor(a.Cu),
		heads: C.int64_t(a.Heads), kv_heads: C.int64_t(a.KVHeads), dim: C.int64_t(a.Dim), window: C.int64_t(a.Window),
		scale: C.float(a.Scale), soft_cap: C.float(a.SoftCap), causal: flag(a.Causal), scratch: d.tensor(a.Scratch),
	}
	if d.ready("attention_backward", C.graft_has_attention_backward(d.api)) {
		d.fail("attention_backward", d.take(C.graft_call_attention_backward(d.api, d.context, &args)))
	}
}

func (d *device) SwiGLU(y, gate, up bindings.Tensor) {
	args := C.graft_swiglu_args{y: d.tensor(y), gate: d.tensor(gate), up: d.tensor(up)}
	if d.ready("swiglu", C.graft_has_swiglu(d.api)) {
		d.fail("swiglu", d.take(C.graft_call_swiglu(d.api, d.context, &args)))
	}
}

func (d *device) SwiGLUBackward(dgate, dup, dy, gate, up bindings.Tensor) {
	args := C.graft_swiglu_backward_args{dgate: d.tensor(dgate), dup: d.tensor(dup), dy: d.tensor(dy), gate: d.tensor(gate), up: d.tensor(up)}
	if d.ready("swiglu_backward", C.graft_has_swiglu_backward(d.api)) {
		d.fail("swiglu_backward", d.take(C.graft_call_swiglu_backward(d.api, d.context, &args)))
	}
}

func (d *device) LinearCrossEntropy(loss, dx, dw bindings.Tensor, c bindings.CrossEntropyArgs) {
	args := C.graft_linear_cross_entropy_args{
		loss: d.tensor(loss), dx: d.tensor(dx), dw: d.tensor(dw), x: d.tensor(c.X), w: d.weight(c.W),
		rows: d.tensor(c.Rows), targets: d.tensor(c.Targets), weights: d.tensor(c.Weights), inverse: d.tensor(c.Inverse),
		soft_cap: C.float(c.SoftCap), label_smoothing: C.float(c.LabelSmoothing), z_loss: C.float(c.ZLoss),
		chunk_rows: C.int64_t(max(1, d.profile.LogitsRows(c.Rows.Len(), c.W.Out))), scratch: d.tensor(c.Scratch),
	}
	if d.ready("linear_cross_entropy", C.graft_has_linear_cross_entropy(d.api)) {
		d.fail("linear_cross_entropy", d.take(C.graft_call_linear_cross_entropy(d.api, d.context, &args)))
	}
}

func (d *device) GradNorm(norm, g, loss bindings.Tensor, maxNorm float64) {
	args := C.graft_grad_norm_args{norm: d.tensor(norm), g: d.tensor(g), loss: d.tensor(loss), max_norm: C.float(maxNorm)}
	if d.ready("grad_norm", C.graft_has_grad_norm(d.api)) {
		d.fail("grad_norm", d.take(C.graft_call_grad_norm(d.api, d.context, &args)))
	}
}

func (d *device) AdamW(p, m, v, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	args := C.graft_adamw_args{
		p: d.tensor(p), m: d.tensor(m), v: d.tensor(v), g: d.tensor(g), norm: d.tensor(norm), lr: d.tensor(lr),
		beta1: C.float(h.Beta1), beta2: C.float(h.Beta2), eps: C.float(h.Eps),
		weight_decay: C.float(h.WeightDecay), lr_scale: C.float(h.LRScale),
	}
	if d.ready("adamw", C.graft_has_adamw(d.api)) {
		d.fail("adamw", d.take(C.graft_call_adamw(d.api, d.context, &args)))
	}
}

func (d *device) AdamW8(p, m, v, mScale, vScale, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	args := C.graft_adamw8_args{
		p: d.tensor(p), m: d.tensor(m), v: d.tensor(v), m_scale: d.tensor(mScale), v_scale: d.tensor(vScale),
		g: d.tensor(g), norm: d.tensor(norm), lr: d.tensor(lr),
		beta1: C.float(h.Beta1), beta2: C.float(h.Beta2), eps: C.float(h.Eps),
		weight_decay: C.float(h.WeightDecay), lr_scale: C.float(h.LRScale),
	}
	if d.ready("adamw8", C.graft_has_adamw8(d.api)) {
		d.fail("adamw8", d.take(C.graft_call_adamw8(d.api, d.context, &args)))
	}
}

func (d *device) AdamWBF16(p, m, v, g, norm, lr, seed bindings.Tensor, h bindings.AdamWHyper) {
	args := C.graft_adamw_bf16_args{
		p: d.tensor(p), m: d.tensor(m), v: d.tensor(v), g: d.tensor(g), norm: d.tensor(norm), lr: d.tensor(lr), seed: d.tensor(seed),
		beta1: C.float(h.Beta1), beta2: C.float(h.Beta2), eps: C.float(h.Eps),
		weight_decay: C.float(h.WeightDecay), lr_scale: C.float(h.LRScale),
	}
	if d.ready("adamw_bf16", C.graft_has_adamw_bf16(d.api)) {
		d.fail("adamw_bf16", d.take(C.graft_call_adamw_bf16(d.api, d.context, &args)))
	}
}

func (d *device) NF4Quantize(codes, absmax, x bindings.Tensor) {
	args := C.graft_nf4_quantize_args{codes: d.tensor(codes), absmax: d.tensor(absmax), x: d.tensor(x)}
	if d.ready("nf4_quantize", C.graft_has_nf4_quantize(d.api)) {
		d.fail("nf4_quantize", d.take(C.graft_call_nf4_quantize(d.api, d.context, &args)))
	}
}

func (d *device) NF4Dequantize(y bindings.Tensor, w bindings.Weight) {
	args := C.graft_nf4_dequantize_args{y: d.tensor(y), w: d.weight(w)}
	if d.ready("nf4_dequantize", C.graft_has_nf4_dequantize(d.api)) {
		d.fail("nf4_dequantize", d.take(C.graft_call_nf4_dequantize(d.api, d.context, &args)))
	}
}

func (d *device) Sample(ids bindings.Tensor, s bindings.SampleArgs) {
	args := C.graft_sample_args{
		ids: d.tensor(ids), logits: d.tensor(s.Logits), seen: d.tensor(s.Seen), seed: d.tensor(s.Seed),
		temperature: C.float(s.Temperature), top_p: C.float(s.TopP), min_p: C.float(s.MinP),
		repetition_penalty: C.float(s.RepetitionPenalty), top_k: C.int64_t(s.TopK), scratch: d.tensor(s.Scratch),
	}
	if d.ready("sample", C.graft_has_sample(d.api)) {
		d.fail("sample", d.take(C.graft_call_sample(d.api, d.context, &args)))
	}
}

func (d *device) Activation(y, x bindings.Tensor, f bindings.ActivationFunction) {
	args := C.graft_activation_args{y: d.tensor(y), x: d.tensor(x), f: C.int32_t(f)}
	if d.ready("activation", C.graft_has_activation(d.api)) {
		d.fail("activation", d.take(C.graft_call_activation(d.api, d.context, &args)))
	}
}

func (d *device) ActivationBackward(dx, dy, x bindings.Tensor, f bindings.ActivationFunction) {
	args := C.graft_activation_backward_args{dx: d.tensor(dx), dy: d.tensor(dy), x: d.tensor(x), f: C.int32_t(f)}
	if d.ready("activation_backward", C.graft_has_activation_backward(d.api)) {
		d.fail("activation_backward", d.take(C.graft_call_activation_backward(d.api, d.context, &args)))
	}
}

func (d *device) LayerNorm(y, sum, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	args := C.graft_layer_norm_args{
		y: d.tensor(y), sum: d.tensor(sum), mean: d.tensor(mean), rstd: d.tensor(rstd),
		x: d.tensor(a.X), residual: d.tensor(a.Residual), w: d.tensor(a.W), bias: d.tensor(a.Bias), eps: C.float(a.Eps),
	}
	if d.ready("layer_norm", C.graft_has_layer_norm(d.api)) {
		d.fail("layer_norm", d.take(C.graft_call_layer_norm(d.api, d.context, &args)))
	}
}

func (d *device) LayerNormBackward(dx bindings.Tensor, how bindings.Write, dw, dbias, dy, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	args := C.graft_layer_norm_backward_args{
		dx: d.tensor(dx), dw: d.tensor(dw), dbias: d.tensor(dbias),
		dy: d.tensor(dy), x: d.tensor(a.X), mean: d.tensor(mean), rstd: d.tensor(rstd), w: d.tensor(a.W),
		accumulate: flag(bool(how)),
	}
	if d.ready("layer_norm_backward", C.graft_has_layer_norm_backward(d.api)) {
		d.fail("layer_norm_backward", d.take(C.graft_call_layer_norm_backward(d.api, d.context, &args)))
	}
}

func (d *device) Pool(y, x, cu bindings.Tensor, p bindings.Pooling) {
	args := C.graft_pool_args{y: d.tensor(y), x: d.tensor(x), cu: d.tensor(cu), kind: C.int32_t(p)}
	if d.ready("pool", C.graft_has_pool(d.api)) {
		d.fail("pool", d.take(C.graft_call_pool(d.api, d.context, &args)))
	}
}

func (d *device) PoolBackward(dx, dy, x, cu bindings.Tensor, p bindings.Pooling) {
	args := C.graft_pool_backward_args{dx: d.tensor(dx), dy: d.tensor(dy), x: d.tensor(x), cu: d.tensor(cu), kind: C.int32_t(p)}
	if d.ready("pool_backward", C.graft_has_pool_backward(d.api)) {
		d.fail("pool_backward", d.take(C.graft_call_pool_backward(d.api, d.context, &args)))
	}
}

func (d *device) ClassificationLoss(loss, dlogits bindings.Tensor, c bindings.ClassificationArgs) {
	args := C.graft_classification_loss_args{
		loss: d.tensor(loss), dlogits: d.tensor(dlogits), logits: d.tensor(c.Logits), classes: d.tensor(c.Classes),
		values: d.tensor(c.Values), weights: d.tensor(c.Weights), inverse: d.tensor(c.Inverse), kind: C.int32_t(c.Loss),
	}
	if d.ready("classification_loss", C.graft_has_classification_loss(d.api)) {
		d.fail("classification_loss", d.take(C.graft_call_classification_loss(d.api, d.context, &args)))
	}
}

package bindings

// Ops is everything a program may ask of a device. See the package comment for
// the rules; T is the number of tokens of a micro-batch, R the number of rows
// that carry a target, h a hidden size.
//
// Operations return no error. A device keeps the first failure, with the name
// of the operation, does nothing from then on, and Launch returns it.
type Ops interface {
	// Zero sets every element to zero.
	Zero(dst Tensor)
	// Cast is dst = src in the element type of dst, rounded to nearest even.
	// Same number of elements; any two floating-point types.
	Cast(dst, src Tensor)
	// Add is dst = a + b; in place on a.
	Add(dst, a, b Tensor)
	// Order says that nothing reads then before first is complete. It is void
	// where operations run in order; a compiler has to be told.
	Order(first, then Tensor)

	// Embedding is y[t] = table[ids[t]], rounded to the type of y.
	// y [T, h], table [V, h], ids [T] i32.
	Embedding(y, table, ids Tensor)
	// EmbeddingBackward adds dy[t] to dtable[ids[t]], in the order of t.
	EmbeddingBackward(dtable, dy, ids Tensor)
	// ScatterRows is dst[rows[i]] = src[i]; rows [n] i32 are distinct.
	ScatterRows(dst, src, rows Tensor)

	// RMSNorm normalises each row: y = w · x · rstd, rstd = 1/√(mean(x²)+eps).
	// With a residual it first writes sum = x + residual and normalises that.
	// Inside it is float32; x·rstd is rounded to the type of y before the
	// weight is applied (transformers' LlamaRMSNorm).
	// y, sum, x, residual [N, h]; rstd [N]; w [h]. sum and residual together or
	// not at all; sum may be x (in place).
	RMSNorm(y, sum, rstd Tensor, a NormArgs)
	// RMSNormBackward writes or adds the gradient of what was normalised, and
	// adds that of the weight, each where it is valid. X of a is what was
	// normalised (the sum, if there was a residual). dx may be dy (in place,
	// Set only).
	RMSNormBackward(dx Tensor, how Write, dw, dy, rstd Tensor, a NormArgs)

	// LayerNorm normalises each row: y = w·(x − mean)·rstd + bias, with mean and
	// rstd = 1/√(var+eps) of the row, var dividing by h (torch.nn.LayerNorm;
	// arXiv 1607.06450). With a residual it first writes sum = x + residual and
	// normalises that. Inside it is float32, rounded once to the type of y.
	// y, sum, x, residual [N, h]; mean, rstd [N]; w, bias [h]. sum and residual
	// together or not at all; sum may be x (in place).
	LayerNorm(y, sum, mean, rstd Tensor, a LayerNormArgs)
	// LayerNormBackward writes or adds the gradient of what was normalised, and
	// adds those of weight and bias, each where it is valid. X of a is what was
	// normalised (the sum, if there was a residual). dx may be dy (in place,
	// Set only).
	LayerNormBackward(dx Tensor, how Write, dw, dbias, dy, mean, rstd Tensor, a LayerNormArgs)

	// Linear is y = x·Wᵀ + bias + Σ_adapters xa·Bᵀ with xa = gate·scale·drop(x)·Aᵀ,
	// which is kept for the backward pass. y [T, out].
	Linear(y Tensor, l LinearArgs)
	// LinearBackward gives the gradients that are valid in g from dy [T, out].
	LinearBackward(g LinearGrads, how Write, dy Tensor, l LinearArgs)

	// Dropout is y = D·x with the mask of d, or (I−D)·x with rest: what drop
	// leaves over. Both are their own derivative. y, x [T, n].
	Dropout(y Tensor, how Write, x Tensor, d Dropout, rest bool)
	// WeightNorm is norm[o] = ‖W[o] + scale·(B·A)[o]‖₂, the length of each row
	// of an adapted weight (DoRA, arXiv 2402.09353). Everything is float32, W as
	// it is stored; A [r, in], B [out, r], norm [out].
	WeightNorm(norm Tensor, w Weight, a, b Tensor, scale float64)
	// Magnitude is y = residual + (1 + gate·(m/norm − 1))·z + bias, column by
	// column of z: DoRA's output, z being that of the adapted weight. Rounded
	// once. y, z [T, out]; y may be z or the residual.
	Magnitude(y Tensor, a MagnitudeArgs)
	// MagnitudeBackward writes dz and adds to dm, each where it is valid. The
	// norm counts as a constant, as in §4.3 of the paper and in PEFT.
	MagnitudeBackward(dz, dm, dy Tensor, a MagnitudeArgs)

	// RoPETable writes table [T, dim] = [cos | sin] of position·frequency,
	// times scale, for dim/2 frequencies. Angles are float32; the values are
	// rounded to the type of table. positions [T] i32, freq [dim/2] f32.
	RoPETable(table, positions, freq Tensor, scale float64)
	// RoPE rotates the pairs (i, i+dim/2) of the first dim elements of each
	// head; in place on x. x, y [T, heads·headDim]; table [T, dim].
	// inverse rotates back, which is the backward pass.
	RoPE(y, x, table Tensor, headDim int, inverse bool)

	// Attention is softmax(scale·q·kᵀ)·v within sequences; see AttentionArgs.
	// o [T, Heads·Dim]; lse [T, Heads] is the natural log of the sum of
	// exponentials, kept for the backward pass.
	Attention(o, lse Tensor, a AttentionArgs)
	// AttentionBackward gives dq, dk, dv (written) from do, and adds to dpk,
	// dpv (the gradients of the prefix) where they are valid.
	AttentionBackward(g AttentionGrads, do, o, lse Tensor, a AttentionArgs)

	// SwiGLU is y = silu(gate)·up.
	SwiGLU(y, gate, up Tensor)
	// SwiGLUBackward gives both gradients; in place on gate and up.
	SwiGLUBackward(dgate, dup, dy, gate, up Tensor)

	// Activation is y = f(x), element by element; y may be x (in place).
	Activation(y, x Tensor, f ActivationFunction)
	// ActivationBackward is dx = dy·f'(x); dx may be dy or x (in place).
	ActivationBackward(dx, dy, x Tensor, f ActivationFunction)

	// Pool makes one row of each sequence: y[s] of the rows [cu[s], cu[s+1]) of
	// x. An empty sequence gives zeros. y [n, h], x [T, h], cu [n+1] i32, the
	// last of which is T. Means are summed in float32 and rounded once.
	Pool(y, x, cu Tensor, p Pooling)
	// PoolBackward writes dx [T, h]. x is read by PoolMax alone, whose gradient
	// goes to the first of the largest rows, for each column.
	PoolBackward(dx, dy, x, cu Tensor, p Pooling)

	// LinearCrossEntropy is the output layer and its loss, for target rows
	// only; the logits of all rows never exist at once. For each row i with
	// logits z = x[rows[i]]·Wᵀ it adds
	//
	//	weights[i]·inverse·(logsumexp(z) − z[targets[i]])  to loss[0]
	//	weights[i]·[argmax z = targets[i]]                 to loss[1]
	//
	// and, where they are valid, writes dx [T, h] (zero for rows without a
	// target) and adds to dw. loss [2]. With smoothing ε the target has the
	// weight 1−ε and every token ε/V (torch.nn.CrossEntropyLoss): in place of
	// z[target] there is (1−ε)·z[target] + ε·mean(z). ZLoss λ adds
	// λ·logsumexp(z)² (PaLM, arXiv 2204.02311, §5).
	LinearCrossEntropy(loss, dx, dw Tensor, c CrossEntropyArgs)

	// ClassificationLoss is the loss of a classifier's logits. For each row i
	// whose weight is not zero it adds
	//
	//	weights[i]·inverse·l(logits[i])  to loss[0]
	//	weights[i]·[row i is right]      to loss[1]
	//
	// and, where it is valid, writes dlogits, which is zero in the other rows.
	// See ClassLoss for l and for what is right. loss [2].
	ClassificationLoss(loss, dlogits Tensor, c ClassificationArgs)

	// GradNorm looks at the gradients of a step. norm [4] becomes
	//
	//	[‖g‖, min(1, maxNorm/(‖g‖+1e-6)), 1 if ‖g‖ and loss[0] are finite else 0, steps applied]
	//
	// where the last, which it adds the third to, counts across steps.
	// maxNorm ≤ 0 means no clipping.
	GradNorm(norm, g, loss Tensor, maxNorm float64)
	// AdamW updates p, m and v in place as torch.optim.AdamW does, with
	// gradients g·norm[1], step count norm[3] and learning rate lr[0]·h.LRScale;
	// it leaves all of them as they are when norm[2] is 0.
	AdamW(p, m, v, g, norm, lr Tensor, h AdamWHyper)

	// AdamW8 is AdamW with the moments in eight bits (arXiv 2110.02861): m [n]
	// u8 are codes of the signed dynamic map of bitsandbytes, v [n] u8 of the
	// unsigned one, times a scale for each StateBlock elements, which the last
	// block may have fewer of. They are decoded, p is updated from the new
	// moments as they are, and these are coded again: the new scale is the
	// largest magnitude of its block, a code that of the value nearest to
	// moment/scale. Zeros are a fresh state.
	AdamW8(p, m, v, mScale, vScale, g, norm, lr Tensor, h AdamWHyper)
	// AdamWBF16 is AdamW with parameters in bf16 alone: what the update, in
	// float32, gives is rounded up or down at random, so that steps below half
	// of a last place are kept on the average (arXiv 2010.06192, §3). Element i
	// takes the high half r of word i%4 of Philox4x32-10 with key (Seed[0],
	// Seed[1]) and counter (i/4, 0, Seed[2], Seed[3]): the bits of the float32
	// plus r, of which the low 16 are dropped. What is not finite is cast.
	// Every product and sum is rounded by itself and powers of β are products
	// by repeated squaring in float64, so every device gives the same bits.
	// p [n] bf16; m, v, g [n]; seed [4] u32.
	AdamWBF16(p, m, v, g, norm, lr, seed Tensor, h AdamWHyper)

	// NF4Quantize codes x [n, k] in four bits (arXiv 2305.14314, appendix E).
	// absmax has the largest magnitude of each NF4Block elements, counted over
	// rows; a code is the number of midpoints of the sixteen values below
	// x·(1/max(absmax, 1e-38)), so that a tie takes the lower one: codes and
	// scales are bit-equal to bitsandbytes' and to package quant. codes
	// [n, k/2] u8, high nibble first; absmax [n·k/NF4Block] f32; n·k is a
	// multiple of NF4Block, k is even, x is finite.
	NF4Quantize(codes, absmax, x Tensor)
	// NF4Dequantize is y [out, in] = w, a weight in NF4 with scales of either
	// kind: the value of the code times the scale of its block, a product in
	// float32, rounded to nearest even where y is bf16. A doubly quantised
	// scale is rounded twice before, after its product and after the sum. So y
	// is bit-equal to bitsandbytes' and to package quant; a scale that is NaN
	// gives NaN. out·in is a multiple of NF4Block, in is even.
	NF4Dequantize(y Tensor, w Weight)

	// Sample draws one token for each row of logits. ids [n] i32.
	Sample(ids Tensor, s SampleArgs)
}

// Write says what the gradient of an activation does with what is there.
type Write bool

const (
	Set        Write = false
	Accumulate Write = true
)

// Weight is a matrix [Out, In] in one of its storage forms. Only operations
// look inside; layers pass it on.
//
// Dense: Data [Out, In], in the type of the activations, or float32 (a
// trainable weight, rounded where it is used).
//
// NF4: Data [Out, In/2] u8, two codes a byte, high nibble first; Absmax has
// one scale for each NF4Block elements: float32, or, doubly quantised, u8
// codes with Nested [blocks/NestedBlock] f32 and Offset [1] f32. The value is
// bit-equal to bitsandbytes'.
type Weight struct {
	Out, In                int
	Data                   Tensor
	Absmax, Nested, Offset Tensor
}

// Sizes of the blocks of NF4 weights, and of moments in eight bits.
const (
	NF4Block    = 64
	NestedBlock = 256
	StateBlock  = 256
)

// NF4 reports whether the weight is stored in four bits.
func (w Weight) NF4() bool { return w.Absmax.Valid() }

// Tensors lists the parts of a weight that exist.
func (w Weight) Tensors() []Tensor {
	var all []Tensor
	for _, t := range []Tensor{w.Data, w.Absmax, w.Nested, w.Offset} {
		if t.Valid() {
			all = append(all, t)
		}
	}
	return all
}

// NormArgs are the inputs of a norm.
type NormArgs struct {
	X, Residual Tensor // [N, h]; Residual may be absent
	W           Tensor // [h], in the type of x or float32
	Eps         float64
	UnitOffset  bool // multiply by 1+w, rounded once at the end (Gemma)
}

// LayerNormArgs are the inputs of a layer norm.
type LayerNormArgs struct {
	X, Residual Tensor // [N, h]; Residual may be absent
	W, Bias     Tensor // [h], in the type of x or float32
	Eps         float64
}

// ActivationFunction is a function of one element, with the names of
// transformers' ACT2FN. Values cross to C as they are.
type ActivationFunction int

const (
	GELU     ActivationFunction = iota // x·Φ(x), by the error function (arXiv 1606.08415)
	GELUTanh                           // x·σ(2·√(2/π)·(x + 0.044715·x³))
	Tanh
	ReLU // its slope at 0 is 0
	NumActivations
)

func (f ActivationFunction) String() string {
	return [...]string{"gelu", "gelu_tanh", "tanh", "relu"}[f]
}

// Pooling says which row stands for a sequence. Values cross to C as they are.
type Pooling int

const (
	PoolFirst Pooling = iota // BERT's [CLS]
	PoolLast                 // a decoder's last token
	PoolMean
	PoolMax // the largest of each column
	NumPoolings
)

func (p Pooling) String() string { return [...]string{"first", "last", "mean", "max"}[p] }

// ClassLoss is the loss l of one row of logits z [C]. Values cross to C as they
// are.
type ClassLoss int

const (
	// SoftmaxCrossEntropy is logsumexp(z) − z[label], by Classes. A row is right
	// where the (first) largest logit is its label.
	SoftmaxCrossEntropy ClassLoss = iota
	// BinaryCrossEntropy is the mean over C of −v·ln σ(z) − (1−v)·ln(1−σ(z)), by
	// Values in [0, 1]. A row is right where z > 0 exactly where v > ½.
	BinaryCrossEntropy
	// MeanSquaredError is the mean over C of (z−v)², by Values. No row is right.
	MeanSquaredError
	NumClassLosses
)

func (l ClassLoss) String() string {
	return [...]string{"softmax cross-entropy", "binary cross-entropy", "mean squared error"}[l]
}

// ClassificationArgs are logits and what they should have been.
type ClassificationArgs struct {
	Logits  Tensor // [n, C]; the loss is float32 inside
	Classes Tensor // [n] i32; SoftmaxCrossEntropy only
	Values  Tensor // [n, C] f32; the other losses only
	Weights Tensor // [n] f32; 0: the row fills the bucket
	Inverse Tensor // [1] f32: 1 / rows with a label of the whole step
	Loss    ClassLoss
}

// LinearArgs is a linear layer; the same value serves forward and backward, so
// it is also the record of what was saved.
type LinearArgs struct {
	X        Tensor // [T, in]; absent backward where neither DW nor DA is wanted
	W        Weight
	Bias     Tensor // [out], in the type of x or float32; may be absent
	Adapters []LowRank
	Scratch  Tensor // Profile.LinearScratch, u8
}

// LowRank is one adapter of a linear layer (LoRA, arXiv 2106.09685).
type LowRank struct {
	A, B  Tensor // [r, in], [out, r], float32
	XA    Tensor // [T, r]: gate·scale·drop(x)·Aᵀ in the type of x, written by Linear; read for DB
	Scale float64
	Drop  Dropout
	// Gate is the weight of the adapter for each token, beside Scale: so that
	// rows of one batch have different adapters. [T] float32; absent: 1.
	Gate Tensor
}

// LinearGrads are the outputs of LinearBackward; each may be absent. DX
// follows the Write argument, the others are added to.
type LinearGrads struct {
	DX        Tensor   // [T, in]
	DW, DBias Tensor   // [out, in], [out], float32
	DA, DB    []Tensor // one for each adapter, as A and B; empty or as many as adapters
}

// Dropout drops elements of an adapter's input with probability P and scales
// the rest by 1/(1−P). Element e of x (row-major) is kept where word e%4 of
// Philox4x32-10 with key (Seed[0], Seed[1]) and counter (e/4, Site, Seed[2],
// Seed[3]) is not below P·2³²; so the backward pass draws the same mask.
type Dropout struct {
	P    float64 // 0: none
	Site uint32  // which layer
	Seed Tensor  // [4] u32: key low, key high, step, micro-batch
}

// MagnitudeArgs are the inputs of Magnitude; the same value serves forward and
// backward, where Residual and Bias are not looked at, and Z only for dm.
type MagnitudeArgs struct {
	Z, Residual Tensor // [T, out]; Residual may be absent
	M, Norm     Tensor // [out], float32
	Bias        Tensor // [out], in the type of z or float32; may be absent
	Gate        Tensor // [T], float32; absent: 1
}

// Threshold: an element is kept where its 32 random bits are not below.
func (d Dropout) Threshold() uint32 { return uint32(d.P * (1 << 32)) }

// AttentionArgs is grouped-query attention over a flat list of tokens. Query
// head i uses key head i/(Heads/KVHeads).
//
// Sequence s has the query rows [Cu[s], Cu[s+1]); the last boundary is T and
// repeated values are empty sequences. Its keys are the rows of K and V with
// the same numbers, or, when Keys is valid, the Keys[s][1] rows that start at
// row Keys[s][0] (a cache): then the last query sees the last key, and the
// queries before it one key less each.
//
// A query at place i of the keys sees key j where j ≤ i (if Causal) and
// j > i − Window (if Window > 0). It always sees the whole prefix, whose rows
// are shared by all sequences and count as no position.
//
// Longest is a promise: of a query whose output counts, no key is Longest rows
// away or more. A device may leave out keys that are; what other queries give is
// finite, and of no use.
type AttentionArgs struct {
	Q, K, V             Tensor // [T, Heads·Dim], [·, KVHeads·Dim] twice
	PrefixK, PrefixV    Tensor // [P, KVHeads·Dim]; may be absent
	Cu                  Tensor // [n+1] i32
	Keys                Tensor // [n, 2] i32; may be absent; forward only
	Heads, KVHeads, Dim int
	Scale               float64
	SoftCap             float64 // 0: none; else scores become c·tanh(s/c)
	Causal              bool
	Window              int
	Longest             int    // rows of a sequence at most; 0: not known
	Scratch             Tensor // Profile.AttentionScratch, u8
}

// AttentionGrads are the outputs of AttentionBackward.
type AttentionGrads struct {
	DQ, DK, DV Tensor // as q, k, v; written
	DPK, DPV   Tensor // as the prefix, float32; added to; may be absent
}

// CrossEntropyArgs is the output layer and the loss over target rows.
type CrossEntropyArgs struct {
	X       Tensor  // [T, h]
	W       Weight  // [V, h]
	Rows    Tensor  // [R] i32: rows of X; what fills the bucket has weight 0
	Targets Tensor  // [R] i32
	Weights Tensor  // [R] f32
	Inverse Tensor  // [1] f32: 1 / target tokens of the whole step
	SoftCap float64 // 0: none; else logits become c·tanh(z/c)
	Scratch Tensor  // Profile.CrossEntropyScratch, u8

	LabelSmoothing float64 // ε in [0, 1)
	ZLoss          float64 // λ ≥ 0
}

// AdamWHyper are the constants of AdamW.
type AdamWHyper struct {
	Beta1, Beta2, Eps, WeightDecay float64
	LRScale                        float64 // times lr (LoRA+); 1 for most
}

// SampleArgs is how the next tokens are drawn. The order is: repetition
// penalty, temperature, top-k, top-p, min-p, as in transformers; Temperature 0
// is greedy, and the lowest id wins a tie. The uniform number of row i is word
// 0 of Philox4x32-10 with key (Seed[0], Seed[1]) and counter (i, 0, Seed[2],
// Seed[3]).
type SampleArgs struct {
	Logits            Tensor // [n, V] f32; overwritten
	Seen              Tensor // [n, V] u8: nonzero for tokens already there; may be absent
	Seed              Tensor // [4] u32
	Temperature       float64
	TopK              int     // 0: all
	TopP, MinP        float64 // 1 and 0: all
	RepetitionPenalty float64 // 1: none
	Scratch           Tensor  // Profile.SampleScratch, u8
}

package optest

import (
	"testing"

	"github.com/graftlm/graft/bindings"
)

func classifierGradients() (all []gradient) {
	for f := range bindings.NumActivations {
		s := [2]int{4, 5}
		all = append(all, gradient{"activation " + f.String(), activationCase(f, s, false), activationBackward(f, s, ""), "y", "dy",
			map[string]string{"x": "dx"}})
	}
	norm, s := layerNorm{eps: 1e-2}, [2]int{5, 7}
	all = append(all, gradient{"layer_norm", norm.forward(s), norm.backward(s, normBackward{dx: true, dw: true}), "y", "dy",
		map[string]string{"x": "dx", "w": "dw", "bias": "dbias"}})
	for p := range bindings.NumPoolings {
		c := poolCase{kind: p, cu: []int32{0, 3, 3, 4, 9}, hidden: 5}
		all = append(all, gradient{"pool " + c.String(), c.forward, c.backward, "y", "dy", map[string]string{"x": "dx"}})
	}
	for l := range bindings.NumClassLosses {
		c := classification{loss: l, rows: 6, classes: 4, blank: 2}
		all = append(all, gradient{c.String(), c.build, c.build, "loss", "", map[string]string{"logits": "dlogits"}})
	}
	return all
}

// brokenClassifier changes the arguments of the operations of classifier_cases.go.
type brokenClassifier struct {
	bindings.Ops
	activation func(*bindings.ActivationFunction)
	norm       func(*bindings.LayerNormArgs)
	flip       bool // the layer norm accumulates where it should set, and the reverse
	pool       func(*bindings.Pooling)
	loss       func(*bindings.ClassificationArgs)
}

func apply[T any](change func(*T), to T) T {
	if change != nil {
		change(&to)
	}
	return to
}

func (b brokenClassifier) Activation(y, x bindings.Tensor, f bindings.ActivationFunction) {
	b.Ops.Activation(y, x, apply(b.activation, f))
}

func (b brokenClassifier) ActivationBackward(dx, dy, x bindings.Tensor, f bindings.ActivationFunction) {
	b.Ops.ActivationBackward(dx, dy, x, apply(b.activation, f))
}

func (b brokenClassifier) LayerNorm(y, sum, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	b.Ops.LayerNorm(y, sum, mean, rstd, apply(b.norm, a))
}

func (b brokenClassifier) LayerNormBackward(dx bindings.Tensor, how bindings.Write, dw, dbias, dy, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	b.Ops.LayerNormBackward(dx, how != bindings.Write(b.flip), dw, dbias, dy, mean, rstd, apply(b.norm, a))
}

func (b brokenClassifier) Pool(y, x, cu bindings.Tensor, p bindings.Pooling) {
	b.Ops.Pool(y, x, cu, apply(b.pool, p))
}

func (b brokenClassifier) PoolBackward(dx, dy, x, cu bindings.Tensor, p bindings.Pooling) {
	b.Ops.PoolBackward(dx, dy, x, cu, apply(b.pool, p))
}

func (b brokenClassifier) ClassificationLoss(loss, dlogits bindings.Tensor, a bindings.ClassificationArgs) {
	b.Ops.ClassificationLoss(loss, dlogits, apply(b.loss, a))
}

// TestClassifierMutants: as TestMutants, for these operations.
func TestClassifierMutants(t *testing.T) {
	memo := Options{memo: map[string]expected{}}
	other := func(f bindings.ActivationFunction) func(*bindings.ActivationFunction) {
		return func(to *bindings.ActivationFunction) { *to = f }
	}
	pooling := func(p bindings.Pooling) func(*bindings.Pooling) { return func(to *bindings.Pooling) { *to = p } }
	for name, c := range map[string]struct {
		in string
		brokenClassifier
	}{
		"gelu by tanh":              {"activation/gelu 7", brokenClassifier{activation: other(bindings.GELUTanh)}},
		"gelu by erf":               {"activation/gelu_tanh 7", brokenClassifier{activation: other(bindings.GELU)}},
		"slope of gelu by tanh":     {"activation_backward/gelu 7", brokenClassifier{activation: other(bindings.GELUTanh)}},
		"slope of tanh":             {"activation_backward/tanh 7", brokenClassifier{activation: other(bindings.ReLU)}},
		"eps of the norm forgotten": {"layer_norm/large eps", brokenClassifier{norm: func(a *bindings.LayerNormArgs) { a.Eps = 0 }}},
		"bias for weight":           {"layer_norm/3", brokenClassifier{norm: func(a *bindings.LayerNormArgs) { a.W, a.Bias = a.Bias, a.W }}},
		"weight in backward":        {"layer_norm_backward/set", brokenClassifier{norm: func(a *bindings.LayerNormArgs) { a.W = a.Bias }}},
		"layer norm adds for set":   {"layer_norm_backward/set", brokenClassifier{flip: true}},
		"layer norm sets for add":   {"layer_norm_backward/accumulate", brokenClassifier{flip: true}},
		"first for last":            {"pool/last", brokenClassifier{pool: pooling(bindings.PoolFirst)}},
		"last for first":            {"pool_backward/first", brokenClassifier{pool: pooling(bindings.PoolLast)}},
		"first for max":             {"pool_backward/max", brokenClassifier{pool: pooling(bindings.PoolFirst)}},
		"inverse forgotten": {"classification_loss/softmax cross-entropy 7", brokenClassifier{loss: func(a *bindings.ClassificationArgs) {
			a.Inverse = a.Weights.View(0, 1)
		}}},
		"squares for cross-entropy": {"classification_loss/binary", brokenClassifier{loss: func(a *bindings.ClassificationArgs) {
			a.Loss = bindings.MeanSquaredError
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			noticed(t, memo, c.in, func(ops bindings.Ops) bindings.Ops {
				b := c.brokenClassifier
				b.Ops = ops
				return b
			})
		})
	}
}

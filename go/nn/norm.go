package nn

import "github.com/graftlm/graft/bindings"

// RMSNorm normalises rows (arXiv 1910.07467).
type RMSNorm struct {
	W          *Param // [h]
	Eps        float64
	UnitOffset bool // multiply by 1+w
}

// normState is what a norm keeps: what it normalised, and 1/rms of each row.
type normState struct{ x, rstd bindings.Tensor }

func (n *RMSNorm) args(x, residual bindings.Tensor) bindings.NormArgs {
	return bindings.NormArgs{X: x, Residual: residual, W: n.W.Value, Eps: n.Eps, UnitOffset: n.UnitOffset}
}

// forward writes the normalised x to y; rstd has a number for each row.
func (n *RMSNorm) forward(r Reading, y, rstd, x bindings.Tensor) normState {
	r.RMSNorm(y, bindings.Tensor{}, rstd, n.args(x, bindings.Tensor{}))
	return normState{x, rstd}
}

// forwardAdd writes sum = x + residual, and its normalised rows to y.
func (n *RMSNorm) forwardAdd(r Reading, y, sum, rstd, x, residual bindings.Tensor) normState {
	r.RMSNorm(y, sum, rstd, n.args(x, residual))
	return normState{sum, rstd}
}

// backward writes or adds the gradient of what was normalised.
func (n *RMSNorm) backward(r Reading, s normState, dx bindings.Tensor, how bindings.Write, dy bindings.Tensor) {
	if dx.Valid() || n.W.Trainable {
		r.RMSNormBackward(dx, how, n.W.Grad, dy, s.rstd, n.args(s.x, bindings.Tensor{}))
	}
}

// LayerNorm normalises rows to mean 0 and variance 1 (arXiv 1607.06450).
type LayerNorm struct {
	W, Bias *Param // [h]
	Eps     float64
}

// layerNormState is what it keeps: what it normalised, and the mean and
// 1/deviation of each row.
type layerNormState struct{ x, mean, rstd bindings.Tensor }

func (n *LayerNorm) trains() bool { return n.W.Trainable || n.Bias.Trainable }

func (n *LayerNorm) args(x, residual bindings.Tensor) bindings.LayerNormArgs {
	return bindings.LayerNormArgs{X: x, Residual: residual, W: n.W.Value, Bias: n.Bias.Value, Eps: n.Eps}
}

// forwardAdd writes the sum x + residual to s, and its normalised rows to y.
func (n *LayerNorm) forwardAdd(r Reading, y bindings.Tensor, s *layerNormState, x, residual bindings.Tensor) {
	r.LayerNorm(y, s.x, s.mean, s.rstd, n.args(x, residual))
}

// backward writes or adds the gradient of what was normalised.
func (n *LayerNorm) backward(r Reading, s layerNormState, dx bindings.Tensor, how bindings.Write, dy bindings.Tensor) {
	r.LayerNormBackward(dx, how, n.W.Grad, n.Bias.Grad, dy, s.mean, s.rstd, n.args(s.x, bindings.Tensor{}))
}

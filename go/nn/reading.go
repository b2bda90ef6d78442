package nn

import "github.com/graftlm/graft/bindings"

// Reading is what a layer is given.
type Reading struct {
	bindings.Ops
	*bindings.Memory
	Profile bindings.Profile
	Types   Types
}

// Types are the element types of a run.
type Types struct {
	Compute bindings.DType // activations and frozen weights
	Param   bindings.DType // trainable parameters, gradients, statistics, losses
}

// The three pairs in use: the ordinary ones, and float64 for the reference.
var (
	Float32 = Types{bindings.F32, bindings.F32}
	BFloat  = Types{bindings.BF16, bindings.F32}
	Float64 = Types{bindings.F64, bindings.F64}
)

// New allocates an activation.
func (r Reading) New(dims ...int) bindings.Tensor { return r.Act(r.Types.Compute, dims...) }

// Stat allocates a statistic (rstd, log-sum-exp).
func (r Reading) Stat(dims ...int) bindings.Tensor { return r.Act(r.Types.Param, dims...) }

// Like allocates an activation of the shape of t.
func (r Reading) Like(t bindings.Tensor) bindings.Tensor { return r.New(t.Shape.Dims()...) }

// Scratch allocates bytes for one operation; none for a size of zero.
func (r Reading) Scratch(bytes int) bindings.Tensor {
	if bytes == 0 {
		return bindings.Tensor{}
	}
	return r.Act(bindings.U8, bytes)
}

// kept is an activation that is saved for the backward pass if it is needed
// there; otherwise temporary gives it when it is computed.
func (r Reading) kept(needed bool, dims ...int) bindings.Tensor {
	if !needed {
		return bindings.Tensor{}
	}
	return r.New(dims...)
}

// temporary is t, or a new activation if t was not kept.
func (r Reading) temporary(t bindings.Tensor, dims ...int) bindings.Tensor {
	if t.Valid() {
		return t
	}
	return r.New(dims...)
}

// compute is t in the compute type: itself, or a copy.
func (r Reading) compute(t bindings.Tensor) bindings.Tensor {
	if t.DType == r.Types.Compute {
		return t
	}
	c := r.Like(t)
	r.Cast(c, t)
	return c
}

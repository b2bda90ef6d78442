package count

import "github.com/graftlm/graft/bindings"

// The operations of encoders and of classifiers. They are bound by memory.

func (d *Device) Activation(y, x bindings.Tensor, f bindings.ActivationFunction) {
	c := d.call("activation")
	c.reads("x", x, floats, x.Shape.Dims()...)
	c.writes("y", y, of(x.DType), x.Shape.Dims()...)
	c.oneOf("activation function", int(f), int(bindings.NumActivations))
	c.may(y, x)
	c.done(0)
}

func (d *Device) ActivationBackward(dx, dy, x bindings.Tensor, f bindings.ActivationFunction) {
	c := d.call("activation_backward")
	c.reads("x", x, floats, x.Shape.Dims()...)
	c.reads("dy", dy, of(x.DType), x.Shape.Dims()...)
	c.writes("dx", dx, of(x.DType), x.Shape.Dims()...)
	c.oneOf("activation function", int(f), int(bindings.NumActivations))
	c.may(dx, dy)
	c.may(dx, x)
	c.done(0)
}

func (d *Device) LayerNorm(y, sum, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	c := d.call("layer_norm")
	n, h, t := a.X.Rows(), a.X.Cols(), a.X.DType
	c.reads("x", a.X, floats, n, h)
	c.layerNorm(a)
	c.mayRead("residual", a.Residual, of(t), n, h)
	c.writes("y", y, of(t), n, h)
	c.writes("mean", mean, stat(t), n)
	c.writes("rstd", rstd, stat(t), n)
	c.mayWrite("sum", sum, of(t), n, h)
	if sum.Valid() != a.Residual.Valid() {
		c.fail("sum and residual are given together or not at all")
	}
	c.may(sum, a.X)
	c.done(0)
}

func (d *Device) LayerNormBackward(dx bindings.Tensor, how bindings.Write, dw, dbias, dy, mean, rstd bindings.Tensor, a bindings.LayerNormArgs) {
	c := d.call("layer_norm_backward")
	n, h, t := a.X.Rows(), a.X.Cols(), a.X.DType
	c.reads("x", a.X, floats, n, h)
	c.layerNorm(a)
	c.reads("dy", dy, of(t), n, h)
	c.reads("mean", mean, stat(t), n)
	c.reads("rstd", rstd, stat(t), n)
	c.gradient("dx", dx, how, of(t), n, h)
	c.mayAdd("dw", dw, stat(t), h)
	c.mayAdd("dbias", dbias, stat(t), h)
	if how == bindings.Set {
		c.may(dx, dy)
	}
	c.done(0)
}

// layerNorm is the parameters of a layer norm, which have one type.
func (c *call) layerNorm(a bindings.LayerNormArgs) {
	c.reads("w", a.W, param(a.X.DType), a.X.Cols())
	c.reads("bias", a.Bias, of(a.W.DType), a.X.Cols())
}

func (d *Device) Pool(y, x, cu bindings.Tensor, p bindings.Pooling) {
	c := d.call("pool")
	c.reads("x", x, floats, -1, -1)
	c.reads("cu", cu, ints, -1)
	c.writes("y", y, of(x.DType), cu.Rows()-1, x.Cols())
	c.oneOf("pooling", int(p), int(bindings.NumPoolings))
	c.done(0)
}

func (d *Device) PoolBackward(dx, dy, x, cu bindings.Tensor, p bindings.Pooling) {
	c := d.call("pool_backward")
	c.reads("dy", dy, floats, cu.Rows()-1, -1)
	c.reads("cu", cu, ints, -1)
	c.writes("dx", dx, of(dy.DType), -1, dy.Cols())
	if p == bindings.PoolMax {
		c.reads("x", x, of(dy.DType), dx.Rows(), dx.Cols())
	}
	c.oneOf("pooling", int(p), int(bindings.NumPoolings))
	c.done(0)
}

func (d *Device) ClassificationLoss(loss, dlogits bindings.Tensor, a bindings.ClassificationArgs) {
	c := d.call("classification_loss")
	n, classes, t := a.Logits.Rows(), a.Logits.Cols(), a.Logits.DType
	c.reads("logits", a.Logits, floats, n, classes)
	if a.Loss == bindings.SoftmaxCrossEntropy {
		c.reads("classes", a.Classes, ints, n)
	} else {
		c.reads("values", a.Values, stat(t), n, classes)
	}
	c.reads("weights", a.Weights, stat(t), n)
	c.reads("inverse", a.Inverse, stat(t), 1)
	c.adds("loss", loss, stat(t), 2)
	c.mayWrite("dlogits", dlogits, of(t), n, classes)
	c.oneOf("loss", int(a.Loss), int(bindings.NumClassLosses))
	c.done(0)
}

func (c *call) oneOf(what string, kind, kinds int) {
	if kind < 0 || kind >= kinds {
		c.fail("%s %d is not one of %d", what, kind, kinds)
	}
}

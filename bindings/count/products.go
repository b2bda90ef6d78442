package count

import "github.com/graftlm/graft/bindings"

// weight checks the parts of a matrix beside activations of type t.
func (c *call) weight(w bindings.Weight, t bindings.DType) {
	if !w.NF4() {
		c.reads("weight", w.Data, param(t), w.Out, w.In)
		if w.Nested.Valid() || w.Offset.Valid() {
			c.fail("a dense weight has no nested scales")
		}
		return
	}
	blocks := (w.Out*w.In + bindings.NF4Block - 1) / bindings.NF4Block
	c.reads("codes", w.Data, bytes, w.Out, w.In/2)
	if w.In%2 != 0 {
		c.fail("an NF4 weight has %d inputs, want an even number", w.In)
	}
	if !w.Nested.Valid() {
		c.reads("absmax", w.Absmax, single, blocks)
		return
	}
	c.reads("absmax", w.Absmax, bytes, blocks)
	c.reads("nested", w.Nested, single, (blocks+bindings.NestedBlock-1)/bindings.NestedBlock)
	c.reads("offset", w.Offset, single, 1)
}

// product is the number of operations of a matrix product.
func product(m, n, k int) float64 { return 2 * float64(m) * float64(n) * float64(k) }

// Linear takes 2·T·in·out operations, and 2·T·r·(in+out) for each adapter.
func (d *Device) Linear(y bindings.Tensor, l bindings.LinearArgs) {
	c := d.call("linear")
	rows, t := l.X.Rows(), l.X.DType
	c.reads("x", l.X, floats, rows, l.W.In)
	c.weight(l.W, t)
	c.mayRead("bias", l.Bias, param(t), l.W.Out)
	c.writes("y", y, of(t), rows, l.W.Out)
	flops := product(rows, l.W.Out, l.W.In)
	for _, a := range l.Adapters {
		r := a.A.Rows()
		c.adapter(a, t, l.W)
		c.writes("xa", a.XA, of(t), rows, r)
		flops += product(rows, r, l.W.In+l.W.Out)
	}
	c.uses(l.Scratch)
	c.done(flops)
}

func (c *call) adapter(a bindings.LowRank, t bindings.DType, w bindings.Weight) {
	c.reads("A", a.A, stat(t), -1, w.In)
	c.reads("B", a.B, stat(t), w.Out, a.A.Rows())
	c.mayRead("gate", a.Gate, stat(t), -1)
	if a.Gate.Valid() && a.Gate.Rows() != a.XA.Rows() {
		c.fail("gate has %d rows and xa %d", a.Gate.Rows(), a.XA.Rows())
	}
	if a.Drop.P < 0 || a.Drop.P >= 1 {
		c.fail("dropout with probability %g", a.Drop.P)
	}
	if a.Drop.P > 0 {
		c.reads("dropout seed", a.Drop.Seed, words, 4)
	}
}

// LinearBackward takes one product of the size of the forward pass for each of
// dx and dW, and those of the adapters that the wanted gradients need.
func (d *Device) LinearBackward(g bindings.LinearGrads, how bindings.Write, dy bindings.Tensor, l bindings.LinearArgs) {
	c := d.call("linear_backward")
	rows, t, in, out := dy.Rows(), dy.DType, l.W.In, l.W.Out
	c.reads("dy", dy, floats, rows, out)
	c.gradient("dx", g.DX, how, of(t), rows, in)
	c.mayAdd("dw", g.DW, stat(t), out, in)
	c.mayAdd("dbias", g.DBias, stat(t), out)
	flops, needsX := 0.0, g.DW.Valid()
	if g.DX.Valid() {
		c.weight(l.W, t)
		flops += product(rows, in, out)
	}
	if g.DW.Valid() {
		flops += product(rows, in, out)
	}
	for _, list := range [][]bindings.Tensor{g.DA, g.DB} {
		if len(list) != 0 && len(list) != len(l.Adapters) {
			c.fail("%d gradients for %d adapters", len(list), len(l.Adapters))
			c.done(0)
			return
		}
	}
	for i, a := range l.Adapters {
		r := a.A.Rows()
		c.adapter(a, t, l.W)
		da, db := at(g.DA, i), at(g.DB, i)
		c.mayAdd("dA", da, stat(t), r, in)
		c.mayAdd("dB", db, stat(t), out, r)
		if da.Valid() || g.DX.Valid() { // dy·B
			flops += product(rows, r, out)
		}
		if da.Valid() {
			flops += product(rows, r, in)
			needsX = true
		}
		if db.Valid() {
			c.reads("xa", a.XA, of(t), rows, r)
			flops += product(rows, r, out)
		}
		if g.DX.Valid() {
			flops += product(rows, r, in)
		}
	}
	if needsX {
		c.reads("x", l.X, of(t), rows, in)
	}
	c.uses(l.Scratch)
	c.done(flops)
}

func at(list []bindings.Tensor, i int) bindings.Tensor {
	if i < len(list) {
		return list[i]
	}
	return bindings.Tensor{}
}

// LinearCrossEntropy takes 2·R·h·V operations for the logits and as many for
// each of dx and dW.
func (d *Device) LinearCrossEntropy(loss, dx, dw bindings.Tensor, a bindings.CrossEntropyArgs) {
	c := d.call("linear_cross_entropy")
	t, rows, h, v := a.X.DType, a.Rows.Rows(), a.W.In, a.W.Out
	c.reads("x", a.X, floats, -1, h)
	c.weight(a.W, t)
	c.reads("rows", a.Rows, ints, rows)
	c.reads("targets", a.Targets, ints, rows)
	c.reads("weights", a.Weights, stat(t), rows)
	c.reads("inverse", a.Inverse, stat(t), 1)
	c.adds("loss", loss, stat(t), 2)
	c.mayWrite("dx", dx, of(t), a.X.Rows(), h)
	c.mayAdd("dw", dw, stat(t), v, h)
	c.uses(a.Scratch)
	if d.mem != nil && a.Scratch.Valid() {
		if top := d.mem.InUse(bindings.Activations); top > d.Logits.Top {
			d.Logits = Held{Bytes: bindings.Padded(a.Scratch.Bytes()), Top: top}
		}
	}
	if a.LabelSmoothing < 0 || a.LabelSmoothing >= 1 || a.ZLoss < 0 {
		c.fail("label smoothing %g is not in [0, 1), or z-loss %g below 0", a.LabelSmoothing, a.ZLoss)
	}
	flops := product(rows, v, h)
	if dx.Valid() {
		flops += product(rows, v, h)
	}
	if dw.Valid() {
		flops += product(rows, v, h)
	}
	c.done(flops)
}

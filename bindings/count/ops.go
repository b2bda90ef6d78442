package count

import "github.com/graftlm/graft/bindings"

func (d *Device) Zero(dst bindings.Tensor) {
	c := d.call("zero")
	c.writes("dst", dst, ^types(0), dst.Shape.Dims()...)
	c.done(0)
}

func (d *Device) Cast(dst, src bindings.Tensor) {
	c := d.call("cast")
	c.writes("dst", dst, floats, dst.Shape.Dims()...)
	c.reads("src", src, floats, src.Shape.Dims()...)
	c.sameLength("dst", dst, "src", src)
	c.done(0)
}

func (d *Device) Add(dst, a, b bindings.Tensor) {
	c := d.call("add")
	c.writes("dst", dst, floats, dst.Shape.Dims()...)
	c.reads("a", a, of(dst.DType), a.Shape.Dims()...)
	c.reads("b", b, of(dst.DType), b.Shape.Dims()...)
	c.sameLength("a", a, "dst", dst)
	c.sameLength("b", b, "dst", dst)
	c.may(dst, a)
	c.done(0)
}

func (d *Device) Order(first, then bindings.Tensor) {
	c := d.call("order")
	for _, t := range []bindings.Tensor{first, then} {
		if err := d.live(t); t.Valid() && err != nil {
			c.fail("%v", err)
		}
	}
	c.done(0)
}

func (d *Device) Embedding(y, table, ids bindings.Tensor) {
	c := d.call("embedding")
	c.reads("ids", ids, ints, -1)
	c.reads("table", table, floats, -1, -1)
	c.writes("y", y, floats, ids.Rows(), table.Cols())
	if param(y.DType)&of(table.DType) == 0 {
		c.fail("table has type %s, want that of y (%s) or f32", table.DType, y.DType)
	}
	c.done(0)
}

func (d *Device) EmbeddingBackward(dtable, dy, ids bindings.Tensor) {
	c := d.call("embedding_backward")
	c.reads("ids", ids, ints, -1)
	c.reads("dy", dy, floats, ids.Rows(), -1)
	c.adds("dtable", dtable, stat(dy.DType), -1, dy.Cols())
	c.done(0)
}

// ScatterRows counts as writing all of dst: which rows is not known here.
func (d *Device) ScatterRows(dst, src, rows bindings.Tensor) {
	c := d.call("scatter_rows")
	c.reads("rows", rows, ints, -1)
	c.reads("src", src, floats, rows.Rows(), -1)
	c.writes("dst", dst, of(src.DType), -1, src.Cols())
	c.done(0)
}

func (d *Device) SwiGLU(y, gate, up bindings.Tensor) {
	c := d.call("swiglu")
	c.reads("gate", gate, floats, gate.Shape.Dims()...)
	c.reads("up", up, of(gate.DType), gate.Shape.Dims()...)
	c.writes("y", y, of(gate.DType), gate.Shape.Dims()...)
	c.done(0)
}

func (d *Device) SwiGLUBackward(dgate, dup, dy, gate, up bindings.Tensor) {
	c := d.call("swiglu_backward")
	c.reads("gate", gate, floats, gate.Shape.Dims()...)
	for _, o := range []operand{{"dy", dy}, {"up", up}} {
		c.reads(o.name, o.t, of(gate.DType), gate.Shape.Dims()...)
	}
	for _, o := range []operand{{"dgate", dgate}, {"dup", dup}} {
		c.writes(o.name, o.t, of(gate.DType), gate.Shape.Dims()...)
	}
	c.may(dgate, gate)
	c.may(dup, up)
	c.done(0)
}

func (d *Device) RMSNorm(y, sum, rstd bindings.Tensor, a bindings.NormArgs) {
	c := d.call("rms_norm")
	n, h, t := a.X.Rows(), a.X.Cols(), a.X.DType
	c.reads("x", a.X, floats, n, h)
	c.reads("w", a.W, param(t), h)
	c.mayRead("residual", a.Residual, of(t), n, h)
	c.writes("y", y, of(t), n, h)
	c.writes("rstd", rstd, stat(t), n)
	c.mayWrite("sum", sum, of(t), n, h)
	if sum.Valid() != a.Residual.Valid() {
		c.fail("sum and residual are given together or not at all")
	}
	c.may(sum, a.X)
	c.done(0)
}

func (d *Device) RMSNormBackward(dx bindings.Tensor, how bindings.Write, dw, dy, rstd bindings.Tensor, a bindings.NormArgs) {
	c := d.call("rms_norm_backward")
	n, h, t := a.X.Rows(), a.X.Cols(), a.X.DType
	c.reads("x", a.X, floats, n, h)
	c.reads("w", a.W, param(t), h)
	c.reads("dy", dy, of(t), n, h)
	c.reads("rstd", rstd, stat(t), n)
	c.gradient("dx", dx, how, of(t), n, h)
	c.mayAdd("dw", dw, stat(t), h)
	if how == bindings.Set {
		c.may(dx, dy)
	}
	c.done(0)
}

func (d *Device) Dropout(y bindings.Tensor, how bindings.Write, x bindings.Tensor, p bindings.Dropout, rest bool) {
	c := d.call("dropout")
	c.reads("x", x, floats, -1, -1)
	c.gradient("y", y, how, of(x.DType), x.Rows(), x.Cols())
	c.reads("seed", p.Seed, words, 4)
	if !y.Valid() {
		c.fail("y is missing")
	}
	if p.P < 0 || p.P >= 1 {
		c.fail("dropout with probability %g", p.P)
	}
	c.done(0)
}

// WeightNorm takes 2·r·in·out operations for B·A and as many again of r = 1.
func (d *Device) WeightNorm(norm bindings.Tensor, w bindings.Weight, a, b bindings.Tensor, scale float64) {
	c := d.call("weight_norm")
	t := norm.DType
	if !w.NF4() {
		t = w.Data.DType
	}
	c.weight(w, t)
	c.reads("A", a, stat(t), -1, w.In)
	c.reads("B", b, stat(t), w.Out, a.Rows())
	c.writes("norm", norm, stat(t), w.Out)
	c.done(product(w.Out, w.In, a.Rows()+1))
}

func (d *Device) Magnitude(y bindings.Tensor, a bindings.MagnitudeArgs) {
	c := d.call("magnitude")
	t := a.Z.DType
	c.reads("z", a.Z, floats, -1, -1)
	c.magnitude(a, a.Z)
	c.mayRead("residual", a.Residual, of(t), a.Z.Rows(), a.Z.Cols())
	c.mayRead("bias", a.Bias, param(t), a.Z.Cols())
	c.writes("y", y, of(t), a.Z.Rows(), a.Z.Cols())
	c.may(y, a.Z)
	c.may(y, a.Residual)
	c.done(0)
}

func (d *Device) MagnitudeBackward(dz, dm, dy bindings.Tensor, a bindings.MagnitudeArgs) {
	c := d.call("magnitude_backward")
	c.reads("dy", dy, floats, -1, -1)
	c.magnitude(a, dy)
	if dm.Valid() {
		c.reads("z", a.Z, of(dy.DType), dy.Rows(), dy.Cols())
	}
	c.mayWrite("dz", dz, of(dy.DType), dy.Rows(), dy.Cols())
	c.mayAdd("dm", dm, stat(dy.DType), dy.Cols())
	c.done(0)
}

// magnitude checks what both passes read beside activations like z.
func (c *call) magnitude(a bindings.MagnitudeArgs, z bindings.Tensor) {
	c.reads("m", a.M, stat(z.DType), z.Cols())
	c.reads("norm", a.Norm, stat(z.DType), z.Cols())
	c.mayRead("gate", a.Gate, stat(z.DType), z.Rows())
}

func (d *Device) RoPETable(table, positions, freq bindings.Tensor, scale float64) {
	c := d.call("rope_table")
	c.reads("positions", positions, ints, -1)
	c.reads("freq", freq, single|stat(table.DType), -1)
	c.writes("table", table, floats, positions.Rows(), 2*freq.Rows())
	c.done(0)
}

func (d *Device) RoPE(y, x, table bindings.Tensor, headDim int, inverse bool) {
	c := d.call("rope")
	c.reads("x", x, floats, -1, -1)
	c.reads("table", table, param(x.DType), x.Rows(), -1)
	c.writes("y", y, of(x.DType), x.Rows(), x.Cols())
	if dim := table.Cols(); headDim <= 0 || x.Cols()%max(headDim, 1) != 0 || dim > headDim || dim%2 != 0 {
		c.fail("%d elements rotate in heads of %d in rows of %d", dim, headDim, x.Cols())
	}
	c.may(y, x)
	c.done(0)
}

func (d *Device) GradNorm(norm, g, loss bindings.Tensor, maxNorm float64) {
	c := d.call("grad_norm")
	c.reads("g", g, exact, g.Shape.Dims()...)
	c.reads("loss", loss, of(g.DType), -1)
	c.adds("norm", norm, of(g.DType), 4)
	if loss.Len() < 1 {
		c.fail("loss is empty")
	}
	c.done(0)
}

func (d *Device) AdamW(p, m, v, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	c := d.call("adamw")
	c.adds("p", p, exact, p.Shape.Dims()...)
	for _, o := range []operand{{"m", m}, {"v", v}} {
		c.adds(o.name, o.t, of(p.DType), p.Shape.Dims()...)
	}
	c.reads("g", g, of(p.DType), p.Shape.Dims()...)
	c.reads("norm", norm, of(p.DType), 4)
	c.reads("lr", lr, of(p.DType), 1)
	c.done(0)
}

func (d *Device) AdamW8(p, m, v, mScale, vScale, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	c := d.call("adamw8")
	c.adds("p", p, exact, p.Shape.Dims()...)
	blocks := (p.Len() + bindings.StateBlock - 1) / bindings.StateBlock
	for _, o := range []operand{{"m", m}, {"v", v}} {
		c.adds(o.name, o.t, bytes, p.Len())
	}
	for _, o := range []operand{{"scale of m", mScale}, {"scale of v", vScale}} {
		c.adds(o.name, o.t, of(p.DType), blocks)
	}
	c.reads("g", g, of(p.DType), p.Shape.Dims()...)
	c.reads("norm", norm, of(p.DType), 4)
	c.reads("lr", lr, of(p.DType), 1)
	c.done(0)
}

func (d *Device) AdamWBF16(p, m, v, g, norm, lr, seed bindings.Tensor, h bindings.AdamWHyper) {
	c := d.call("adamw_bf16")
	c.adds("p", p, of(bindings.BF16, bindings.F64), p.Shape.Dims()...)
	for _, o := range []operand{{"m", m}, {"v", v}} {
		c.adds(o.name, o.t, stat(p.DType), p.Shape.Dims()...)
	}
	c.reads("g", g, stat(p.DType), p.Shape.Dims()...)
	c.reads("norm", norm, stat(p.DType), 4)
	c.reads("lr", lr, stat(p.DType), 1)
	c.reads("seed", seed, words, 4)
	c.done(0)
}

func (d *Device) NF4Quantize(codes, absmax, x bindings.Tensor) {
	c := d.call("nf4_quantize")
	n, k := x.Rows(), x.Cols()
	c.reads("x", x, floats, n, k)
	c.writes("codes", codes, bytes, n, k/2)
	c.writes("absmax", absmax, stat(x.DType), n*k/bindings.NF4Block)
	if k%2 != 0 || n*k%bindings.NF4Block != 0 {
		c.fail("%d rows of %d elements do not make whole bytes and whole blocks of %d", n, k, bindings.NF4Block)
	}
	c.done(0)
}

func (d *Device) NF4Dequantize(y bindings.Tensor, w bindings.Weight) {
	c := d.call("nf4_dequantize")
	c.weight(w, y.DType)
	c.writes("y", y, floats, w.Out, w.In)
	if !w.NF4() {
		c.fail("the weight is not in NF4")
	}
	if w.Out*w.In%bindings.NF4Block != 0 {
		c.fail("%d rows of %d elements do not make whole blocks of %d", w.Out, w.In, bindings.NF4Block)
	}
	c.done(0)
}

func (d *Device) Sample(ids bindings.Tensor, s bindings.SampleArgs) {
	c := d.call("sample")
	n, v := s.Logits.Rows(), s.Logits.Cols()
	c.adds("logits", s.Logits, exact, n, v)
	c.mayRead("seen", s.Seen, bytes, n, v)
	c.reads("seed", s.Seed, words, 4)
	c.writes("ids", ids, ints, n)
	c.uses(s.Scratch)
	if n > 0 && v < 1 {
		c.fail("logits of an empty vocabulary")
	}
	if s.Temperature < 0 || s.TopK < 0 || s.TopP <= 0 || s.TopP > 1 || s.MinP < 0 || s.MinP > 1 || s.RepetitionPenalty <= 0 {
		c.fail("temperature %g, top-k %d, top-p %g, min-p %g, repetition penalty %g are out of range",
			s.Temperature, s.TopK, s.TopP, s.MinP, s.RepetitionPenalty)
	}
	c.done(0)
}

func (c *call) sameLength(a string, x bindings.Tensor, b string, y bindings.Tensor) {
	if x.Len() != y.Len() {
		c.fail("%s has %d elements and %s %d", a, x.Len(), b, y.Len())
	}
}

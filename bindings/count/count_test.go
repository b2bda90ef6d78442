package count

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

// TestFaults gives one faulty call of each kind; each is found and named.
func TestFaults(t *testing.T) {
	m := bindings.NewMemory()
	frozen := m.Alloc(bindings.Frozen, bindings.F32, 4, 8)
	staged := m.Alloc(bindings.Staging, bindings.F32, 4, 8)
	owned := m.Alloc(bindings.Workspace, bindings.F32, 4, 8)
	grad := m.Alloc(bindings.Trainable, bindings.F32, 4, 8)
	ids := m.Alloc(bindings.Staging, bindings.I32, 3)
	drawn, seed := m.Alloc(bindings.Trainable, bindings.I32, 4), m.Alloc(bindings.Staging, bindings.U32, 4)
	x, y := m.Act(bindings.F32, 4, 8), m.Act(bindings.F32, 4, 8)
	half, rstd := m.Act(bindings.BF16, 4, 8), m.Act(bindings.F32, 4)
	scratch := m.Act(bindings.U8, 256)
	mark := m.Mark()
	gone := m.Act(bindings.F32, 4, 8)
	m.Release(mark)

	norm := bindings.NormArgs{X: x, W: frozen.View(0, 8), Eps: 1e-5}
	linear := func(change func(*bindings.LinearArgs)) func(bindings.Ops) {
		l := bindings.LinearArgs{X: x, W: bindings.Weight{Out: 8, In: 8, Data: m.Alloc(bindings.Frozen, bindings.F32, 8, 8)}}
		change(&l)
		return func(o bindings.Ops) { o.Zero(x); o.Linear(y, l) }
	}
	for name, c := range map[string]struct {
		op, text string
		program  func(bindings.Ops)
	}{
		"shape":             {"add", "a has 32 elements and dst 24", func(o bindings.Ops) { o.Zero(x); o.Add(y.RowRange(0, 3), x, x) }},
		"type":              {"add", "b has type bf16", func(o bindings.Ops) { o.Zero(x); o.Zero(half); o.Add(y, x, half) }},
		"missing":           {"zero", "dst is missing", func(o bindings.Ops) { o.Zero(bindings.Tensor{}) }},
		"unwritten":         {"add", "nothing wrote", func(o bindings.Ops) { o.Add(y, x, staged) }},
		"half written":      {"add", "nothing wrote", func(o bindings.Ops) { o.Zero(x.RowRange(0, 3)); o.Add(y, x, staged) }},
		"sum of nothing":    {"embedding_backward", "adds to dtable", func(o bindings.Ops) { o.EmbeddingBackward(y, grad.RowRange(0, 3), ids) }},
		"released":          {"zero", "after its release", func(o bindings.Ops) { o.Zero(gone) }},
		"released, order":   {"order", "after its release", func(o bindings.Ops) { o.Order(gone, x) }},
		"frozen":            {"zero", "frozen arena", func(o bindings.Ops) { o.Zero(frozen) }},
		"staging":           {"zero", "staging arena", func(o bindings.Ops) { o.Zero(staged) }},
		"workspace":         {"zero", "workspace arena", func(o bindings.Ops) { o.Zero(owned) }},
		"overlap":           {"add", "dst", func(o bindings.Ops) { o.Zero(x); o.Add(x.RowRange(0, 2), x.RowRange(1, 3), staged.RowRange(0, 2)) }},
		"not in place on b": {"add", "overlaps b", func(o bindings.Ops) { o.Zero(x); o.Add(x, staged, x) }},
		"in place, added": {"rms_norm_backward", "overlaps dy", func(o bindings.Ops) {
			o.Zero(x)
			o.Zero(y)
			o.Zero(rstd)
			o.RMSNormBackward(y, bindings.Accumulate, bindings.Tensor{}, y, rstd, norm)
		}},
		"two outputs":     {"swiglu_backward", "dup", func(o bindings.Ops) { o.Zero(x); o.SwiGLUBackward(y, y, x, staged, staged) }},
		"half a residual": {"rms_norm", "together", func(o bindings.Ops) { o.Zero(x); o.RMSNorm(y, grad, rstd, norm) }},
		"scratch is read": {"add", "nothing wrote", func(o bindings.Ops) {
			o.Zero(scratch)
			linear(func(l *bindings.LinearArgs) { l.Scratch = scratch })(o)
			o.Zero(y)
			bf := scratch
			bf.DType = bindings.F32
			bf.Shape = bindings.ShapeOf(2, 8)
			o.Add(y.RowRange(0, 2), bf, staged.RowRange(0, 2))
		}},
		"scratch of floats": {"linear", "scratch has type", linear(func(l *bindings.LinearArgs) { l.Scratch = grad })},
		"scratch overlaps": {"linear", "scratch", func(o bindings.Ops) {
			o.Zero(x)
			b := y
			b.DType = bindings.U8
			linear(func(l *bindings.LinearArgs) { l.Scratch = b })(o)
		}},
		"weight": {"linear", "weight has shape [4 8], want [8 8]", linear(func(l *bindings.LinearArgs) { l.W.Data = frozen })},
		"dropout": {"linear", "probability 1", linear(func(l *bindings.LinearArgs) {
			l.Adapters = []bindings.LowRank{{A: frozen, B: m.Alloc(bindings.Frozen, bindings.F32, 8, 4), XA: grad.View(0, 4, 4), Drop: bindings.Dropout{P: 1}}}
		})},
		"odd rotation": {"rope", "rotate", func(o bindings.Ops) { o.Zero(x); o.RoPE(y, x, frozen.View(0, 4, 3), 4, false) }},
		"heads":        {"attention", "3 heads, 2 key heads", func(o bindings.Ops) { o.Attention(y, rstd, bindings.AttentionArgs{Heads: 3, KVHeads: 2, Dim: 4}) }},
		"top-p": {"sample", "out of range", func(o bindings.Ops) {
			o.Sample(drawn, bindings.SampleArgs{Logits: grad, Seed: seed, TopP: 0, RepetitionPenalty: 1})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(m)
			c.program(d)
			var fault *bindings.OpError
			require.ErrorAs(t, d.Err(), &fault)
			assert.Equal(t, c.op, fault.Op)
			assert.ErrorContains(t, fault, c.text)
			calls := d.Ops()
			d.Zero(grad)
			assert.Equal(t, calls, d.Ops(), "nothing is read after a fault")
		})
	}
}

func TestInPlaceAndViews(t *testing.T) {
	m := bindings.NewMemory()
	x, y := m.Act(bindings.F32, 4, 8), m.Act(bindings.F32, 4, 8)
	d := New(m)
	d.Zero(y)
	d.Zero(x.RowRange(2, 4)) // written in parts, out of order
	d.Zero(x.RowRange(0, 2))
	d.Add(x, x, y)
	d.SwiGLUBackward(x, y, m.Alloc(bindings.Frozen, bindings.F32, 4, 8), x, y)
	require.NoError(t, d.Err())
	assert.Equal(t, map[string]int{"zero": 3, "add": 1, "swiglu_backward": 1}, d.Calls)
}

func TestFlops(t *testing.T) {
	m := bindings.NewMemory()
	alloc := func(dims ...int) bindings.Tensor { return m.Alloc(bindings.Trainable, bindings.F32, dims...) }
	l := bindings.LinearArgs{
		X: alloc(5, 8), W: bindings.Weight{Out: 6, In: 8, Data: alloc(6, 8)},
		Adapters: []bindings.LowRank{{A: alloc(3, 8), B: alloc(6, 3), XA: alloc(5, 3), Scale: 1}},
	}
	for name, c := range map[string]struct {
		want    float64
		program func(bindings.Ops)
	}{
		"linear": {2*5*6*8 + 2*5*3*(8+6), func(o bindings.Ops) { o.Linear(alloc(5, 6), l) }},
		"dx": {2*5*6*8 + 2*5*3*(8+6), func(o bindings.Ops) {
			o.LinearBackward(bindings.LinearGrads{DX: alloc(5, 8)}, bindings.Set, alloc(5, 6), l)
		}},
		"dA and dB": {2 * 5 * 3 * (6 + 8 + 6), func(o bindings.Ops) {
			g := bindings.LinearGrads{DA: []bindings.Tensor{alloc(3, 8)}, DB: []bindings.Tensor{alloc(6, 3)}}
			o.LinearBackward(g, bindings.Set, alloc(5, 6), l)
		}},
		// Five causal queries see 1 + 2 + 3 + 3 + 3 keys under a window of 3.
		"attention": {4 * 2 * 4 * 12, func(o bindings.Ops) {
			o.Attention(alloc(5, 8), alloc(5, 2), bindings.AttentionArgs{
				Q: alloc(5, 8), K: alloc(5, 4), V: alloc(5, 4), Cu: m.Alloc(bindings.Staging, bindings.I32, 2),
				Heads: 2, KVHeads: 1, Dim: 4, Causal: true, Window: 3,
			})
		}},
		"attention, prefix": {4 * 2 * 4 * (15 + 5*2), func(o bindings.Ops) {
			o.Attention(alloc(5, 8), alloc(5, 2), bindings.AttentionArgs{
				Q: alloc(5, 8), K: alloc(5, 4), V: alloc(5, 4), PrefixK: alloc(2, 4), PrefixV: alloc(2, 4),
				Cu: m.Alloc(bindings.Staging, bindings.I32, 2), Heads: 2, KVHeads: 1, Dim: 4, Causal: true,
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(m)
			c.program(d)
			require.NoError(t, d.Err())
			assert.Equal(t, c.want, d.Flops)
		})
	}
}

package optest

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
)

// mutant is the reference with one fault.
type mutant struct {
	bindings.Backend
	change func(bindings.Ops) bindings.Ops
}

func (m mutant) Open(p bindings.Plan) (bindings.Device, error) {
	d, err := m.Backend.Open(p)
	return mutantDevice{d, m.change}, err
}

type mutantDevice struct {
	bindings.Device
	change func(bindings.Ops) bindings.Ops
}

func (d mutantDevice) Prepare(name string, program func(bindings.Ops)) (bindings.Program, error) {
	return d.Device.Prepare(name, func(ops bindings.Ops) { program(d.change(ops)) })
}

// broken overrides operations by others with changed arguments.
type broken struct {
	bindings.Ops
	norm       func(*bindings.NormArgs)
	linear     func(*bindings.LinearArgs)
	attention  func(*bindings.AttentionArgs)
	loss       func(*bindings.CrossEntropyArgs)
	adamw      func(*bindings.AdamWHyper)
	sample     func(*bindings.SampleArgs)
	magnitude  func(*bindings.MagnitudeArgs)
	dropout    func(*bindings.Dropout)
	scale      float64 // of the update in a weight norm, times 1 + this
	rest       bool    // the other part of dropout
	swapScales bool    // of 8-bit moments
	how        bool    // accumulates where it should set, and the reverse
	inverse    bool    // rotates the other way
}

func (b broken) RMSNorm(y, sum, rstd bindings.Tensor, a bindings.NormArgs) {
	if b.norm != nil {
		b.norm(&a)
	}
	b.Ops.RMSNorm(y, sum, rstd, a)
}

func (b broken) RMSNormBackward(dx bindings.Tensor, how bindings.Write, dw, dy, rstd bindings.Tensor, a bindings.NormArgs) {
	if b.norm != nil {
		b.norm(&a)
	}
	b.Ops.RMSNormBackward(dx, how != bindings.Write(b.how), dw, dy, rstd, a)
}

func (b broken) Linear(y bindings.Tensor, l bindings.LinearArgs) {
	if b.linear != nil {
		l.Adapters = append([]bindings.LowRank(nil), l.Adapters...)
		b.linear(&l)
	}
	b.Ops.Linear(y, l)
}

func (b broken) LinearBackward(g bindings.LinearGrads, how bindings.Write, dy bindings.Tensor, l bindings.LinearArgs) {
	if b.linear != nil {
		l.Adapters = append([]bindings.LowRank(nil), l.Adapters...)
		b.linear(&l)
	}
	b.Ops.LinearBackward(g, how != bindings.Write(b.how), dy, l)
}

func (b broken) Dropout(y bindings.Tensor, how bindings.Write, x bindings.Tensor, p bindings.Dropout, rest bool) {
	if b.dropout != nil {
		b.dropout(&p)
	}
	b.Ops.Dropout(y, how != bindings.Write(b.how), x, p, rest != b.rest)
}

func (b broken) WeightNorm(norm bindings.Tensor, w bindings.Weight, down, up bindings.Tensor, scale float64) {
	b.Ops.WeightNorm(norm, w, down, up, scale*(1+b.scale))
}

func (b broken) Magnitude(y bindings.Tensor, a bindings.MagnitudeArgs) {
	if b.magnitude != nil {
		b.magnitude(&a)
	}
	b.Ops.Magnitude(y, a)
}

func (b broken) MagnitudeBackward(dz, dm, dy bindings.Tensor, a bindings.MagnitudeArgs) {
	if b.magnitude != nil {
		b.magnitude(&a)
	}
	b.Ops.MagnitudeBackward(dz, dm, dy, a)
}

func (b broken) RoPE(y, x, table bindings.Tensor, headDim int, inverse bool) {
	b.Ops.RoPE(y, x, table, headDim, inverse != b.inverse)
}

func (b broken) Attention(o, lse bindings.Tensor, a bindings.AttentionArgs) {
	if b.attention != nil {
		b.attention(&a)
	}
	b.Ops.Attention(o, lse, a)
}

func (b broken) AttentionBackward(g bindings.AttentionGrads, do, o, lse bindings.Tensor, a bindings.AttentionArgs) {
	if b.attention != nil {
		b.attention(&a)
	}
	b.Ops.AttentionBackward(g, do, o, lse, a)
}

func (b broken) LinearCrossEntropy(loss, dx, dw bindings.Tensor, a bindings.CrossEntropyArgs) {
	if b.loss != nil {
		b.loss(&a)
	}
	b.Ops.LinearCrossEntropy(loss, dx, dw, a)
}

func (b broken) AdamW(p, m, v, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	if b.adamw != nil {
		b.adamw(&h)
	}
	b.Ops.AdamW(p, m, v, g, norm, lr, h)
}

func (b broken) AdamWBF16(p, m, v, g, norm, lr, seed bindings.Tensor, h bindings.AdamWHyper) {
	if b.adamw != nil {
		b.adamw(&h)
	}
	b.Ops.AdamWBF16(p, m, v, g, norm, lr, seed, h)
}

func (b broken) AdamW8(p, m, v, mScale, vScale, g, norm, lr bindings.Tensor, h bindings.AdamWHyper) {
	if b.adamw != nil {
		b.adamw(&h)
	}
	if b.swapScales {
		mScale, vScale = vScale, mScale
	}
	b.Ops.AdamW8(p, m, v, mScale, vScale, g, norm, lr, h)
}

func (b broken) Sample(ids bindings.Tensor, s bindings.SampleArgs) {
	if b.sample != nil {
		b.sample(&s)
	}
	b.Ops.Sample(ids, s)
}

func firstAdapter(change func(*bindings.LowRank)) func(*bindings.LinearArgs) {
	return func(l *bindings.LinearArgs) {
		if len(l.Adapters) > 0 {
			change(&l.Adapters[0])
		}
	}
}

// TestMutants runs devices that are wrong in one place: each has to fail in a
// case of the operation whose name contains in.
func TestMutants(t *testing.T) {
	memo := Options{memo: map[string]expected{}}
	for name, c := range map[string]struct {
		in string
		broken
	}{
		"eps forgotten":           {"rms_norm/", broken{norm: func(a *bindings.NormArgs) { a.Eps = 0 }}},
		"unit offset forgotten":   {"rms_norm/unit", broken{norm: func(a *bindings.NormArgs) { a.UnitOffset = false }}},
		"unit offset in backward": {"rms_norm_backward/unit", broken{norm: func(a *bindings.NormArgs) { a.UnitOffset = false }}},
		"norm adds for set":       {"rms_norm_backward/set", broken{how: true}},
		"norm sets for add":       {"rms_norm_backward/accumulate", broken{how: true}},
		"bias forgotten":          {"linear/bias", broken{linear: func(l *bindings.LinearArgs) { l.Bias = bindings.Tensor{} }}},
		"nested scales ignored": {"linear/nf4 nested decoded", broken{linear: func(l *bindings.LinearArgs) {
			l.W.Nested = l.W.Nested.View(0, 1)
			l.W.Offset = l.W.Nested.View(0, 1)
		}}},
		"scale forgotten":          {"linear/rank", broken{linear: firstAdapter(func(a *bindings.LowRank) { a.Scale = 1 })}},
		"scale off by 2^-12":       {"linear/rank", broken{linear: firstAdapter(func(a *bindings.LowRank) { a.Scale *= 1 + 0x1p-12 })}},
		"dropout forgotten":        {"linear/rank 7 dropout", broken{linear: firstAdapter(func(a *bindings.LowRank) { a.Drop.P = 0 })}},
		"another mask in backward": {"linear_backward/dx, dA and dB rank 7 dropout", broken{linear: firstAdapter(func(a *bindings.LowRank) { a.Drop.Site++ })}},
		"last rank dropped": {"linear/bias rank 16", broken{linear: firstAdapter(func(a *bindings.LowRank) {
			a.Scale *= 15.0 / 16
		})}},
		"gate forgotten":             {"linear/rank 8 dropout 0.25 gate", broken{linear: firstAdapter(func(a *bindings.LowRank) { a.Gate = bindings.Tensor{} })}},
		"gate in backward":           {"linear_backward/dx only rank 3 rank 5 gate", broken{linear: firstAdapter(func(a *bindings.LowRank) { a.Gate = bindings.Tensor{} })}},
		"dropout adds for set":       {"dropout/7x63", broken{how: true}},
		"another mask":               {"dropout/7x63", broken{dropout: func(p *bindings.Dropout) { p.Site++ }}},
		"dropped for rest":           {"dropout/rest 7x63", broken{rest: true}},
		"update forgotten":           {"weight_norm/rank 4", broken{scale: -1}},
		"update off by 2^-9":         {"weight_norm/rank 4", broken{scale: 0x1p-9}},
		"magnitude bias":             {"magnitude/bias 7", broken{magnitude: func(a *bindings.MagnitudeArgs) { a.Bias = bindings.Tensor{} }}},
		"magnitude residual":         {"magnitude/residual 7", broken{magnitude: func(a *bindings.MagnitudeArgs) { a.Residual = bindings.Tensor{} }}},
		"magnitude gate":             {"magnitude/gate 7", broken{magnitude: func(a *bindings.MagnitudeArgs) { a.Gate = bindings.Tensor{} }}},
		"magnitude gate in backward": {"magnitude_backward/dz and dm gate 7", broken{magnitude: func(a *bindings.MagnitudeArgs) { a.Gate = bindings.Tensor{} }}},
		"norm and magnitude swapped": {"magnitude/7", broken{magnitude: func(a *bindings.MagnitudeArgs) { a.M, a.Norm = a.Norm, a.M }}},
		"linear adds for set":        {"linear_backward/dx only 3", broken{how: true}},
		"linear sets for add":        {"linear_backward/dx only, accumulate 3", broken{how: true}},
		"rotated backwards":          {"rope/7", broken{inverse: true}},
		"window off by one":          {"attention/window 8", broken{attention: func(a *bindings.AttentionArgs) { a.Window++ }}},
		"window in backward":         {"attention_backward/window 8", broken{attention: func(a *bindings.AttentionArgs) { a.Window-- }}},
		"mask forgotten":             {"attention/[0 7]", broken{attention: func(a *bindings.AttentionArgs) { a.Causal = false }}},
		"mask added":                 {"attention_backward/bidirectional", broken{attention: func(a *bindings.AttentionArgs) { a.Causal = true }}},
		"scale of scores":            {"attention/[0 65 129]", broken{attention: func(a *bindings.AttentionArgs) { a.Scale *= 1 + 0x1p-8 }}},
		"soft cap forgotten":         {"attention/soft cap", broken{attention: func(a *bindings.AttentionArgs) { a.SoftCap = 0 }}},
		"soft cap in backward":       {"attention_backward/soft cap", broken{attention: func(a *bindings.AttentionArgs) { a.SoftCap *= 1.1 }}},
		"keys and values mixed":      {"attention/cache", broken{attention: func(a *bindings.AttentionArgs) { a.K, a.V = a.V, a.K }}},
		"prefix key forgotten": {"attention/prefix 5", broken{attention: func(a *bindings.AttentionArgs) {
			a.PrefixK, a.PrefixV = a.PrefixK.RowRange(1, 5), a.PrefixV.RowRange(1, 5)
		}}},
		"soft cap of logits":                {"linear_cross_entropy/soft cap", broken{loss: func(a *bindings.CrossEntropyArgs) { a.SoftCap = 0 }}},
		"smoothing forgotten":               {"linear_cross_entropy/smoothed 5", broken{loss: func(a *bindings.CrossEntropyArgs) { a.LabelSmoothing = 0 }}},
		"smoothing over all but the target": {"linear_cross_entropy/smoothed 5", broken{loss: func(a *bindings.CrossEntropyArgs) { a.LabelSmoothing *= 63.0 / 62 }}},
		"z-loss forgotten":                  {"linear_cross_entropy/z-loss", broken{loss: func(a *bindings.CrossEntropyArgs) { a.ZLoss = 0 }}},
		"decay in bf16":                     {"adamw_bf16/first", broken{adamw: func(h *bindings.AdamWHyper) { h.WeightDecay = 0 }}},
		"decay forgotten":                   {"adamw/first", broken{adamw: func(h *bindings.AdamWHyper) { h.WeightDecay = 0 }}},
		"rate scale forgotten":              {"adamw/no decay", broken{adamw: func(h *bindings.AdamWHyper) { h.LRScale = 1 }}},
		"beta swapped":                      {"adamw/later", broken{adamw: func(h *bindings.AdamWHyper) { h.Beta1, h.Beta2 = h.Beta2, h.Beta1 }}},
		"8-bit decay":                       {"adamw8/first", broken{adamw: func(h *bindings.AdamWHyper) { h.WeightDecay = 0 }}},
		"8-bit beta":                        {"adamw8/later", broken{adamw: func(h *bindings.AdamWHyper) { h.Beta1 = 0.91 }}},
		"8-bit scales swapped":              {"adamw8/clipped", broken{swapScales: true}},
		"temperature ignored":               {"sample/cold", broken{sample: func(s *bindings.SampleArgs) { s.Temperature = 1 }}},
		"top-k off by one":                  {"sample/top-k", broken{sample: func(s *bindings.SampleArgs) { s.TopK-- }}},
		"top-p ignored":                     {"sample/top-p", broken{sample: func(s *bindings.SampleArgs) { s.TopP = 1 }}},
		"min-p ignored":                     {"sample/min-p", broken{sample: func(s *bindings.SampleArgs) { s.MinP = 0 }}},
		"penalty ignored":                   {"sample/penalty", broken{sample: func(s *bindings.SampleArgs) { s.RepetitionPenalty = 1 }}},
	} {
		t.Run(name, func(t *testing.T) {
			noticed(t, memo, c.in, func(ops bindings.Ops) bindings.Ops {
				b := c.broken
				b.Ops = ops
				return b
			})
		})
	}
}

// noticed expects a case whose name begins with in to fail on the reference
// with changed operations.
func noticed(t *testing.T, memo Options, in string, change func(bindings.Ops) bindings.Ops) {
	t.Helper()
	killed, tried := false, 0
	for _, row := range Cases() {
		if row.bench || !strings.HasPrefix(row.Name(), in) {
			continue
		}
		tried++
		_, err := check(mutant{reference.New(reference.Float32), change}, row, bindings.F32, memo)
		killed = killed || err != nil
	}
	require.NotZero(t, tried, "no case is called %s", in)
	require.True(t, killed, "no case of %s noticed", in)
}

// TestSmallErrors changes one element of one output of every case by the least
// error that a wrong formula, not rounding, would make, and expects the bound
// to be broken: 2⁻¹⁰ of the element in float32, 2⁻³ in bfloat16, where the
// element is not the small rest of large terms.
func TestSmallErrors(t *testing.T) {
	backend := reference.New(reference.Float32)
	for act, size := range map[bindings.DType]float64{bindings.F32: 0x1p-10, bindings.BF16: 0x1p-3} {
		for _, c := range Cases() {
			if c.bench {
				continue
			}
			m := &maker{mem: bindings.NewMemory(), profile: backend.Profile(), act: act, guard: 3}
			call := c.build(m)
			got, err := once(backend, m, call)
			require.NoError(t, err)
			want := expect(c.build, act)
			for _, s := range m.specs {
				raw, i := got[s.name], largest(s, want)
				if raw == nil || i < 0 {
					continue
				}
				n := s.slot.DType.Size()
				value := decode(s.slot.DType, raw)[i]
				wrong := append([]byte(nil), raw...)
				if s.slot.DType.Float() {
					size := size
					if s.slot.DType == bindings.BF16 {
						size = 0x1p-3
					}
					copy(wrong[int64(i)*n:], encode(s.slot.DType, []float64{value * (1 + size)}))
				} else if n == 1 {
					wrong[i]++
				} else {
					binary.LittleEndian.PutUint32(wrong[4*i:], uint32(value)+1)
				}
				got[s.name] = wrong
				require.Error(t, compare(m, want, got), "%s/%s: %s[%d] = %g", c.Name(), act, s.name, i, value)
				got[s.name] = raw
				require.NoError(t, compare(m, want, got))
			}
		}
	}
}

// largest is the element that is largest against its sensitivity; −1 if each is
// zero, not finite, or the rest of terms four times as large.
func largest(s *spec, want expected) int {
	best, at := 0.25, -1
	for i, y := range want.values[s.name] {
		if s.skips(i) || y == 0 || math.IsInf(y, 0) || math.IsNaN(y) || math.Abs(y) < 1e-30 || math.Abs(y) > 1e30 {
			continue
		}
		if r := math.Abs(y) / (want.sensitivity[s.name][i] + 1e-3*math.Abs(y)); r > best {
			best, at = r, i
		}
	}
	return at
}

// lawless does what no device may: each has to be noticed whatever the values.
type lawless struct {
	bindings.Ops
	do func(ops bindings.Ops, dst, a, b bindings.Tensor)
}

func (l lawless) Add(dst, a, b bindings.Tensor) { l.do(l.Ops, dst, a, b) }

func TestLawless(t *testing.T) {
	launches := 0
	before := func(t bindings.Tensor) bindings.Tensor { t.First--; t.Shape = bindings.ShapeOf(1); return t }
	after := func(t bindings.Tensor) bindings.Tensor { t.First += t.Len(); t.Shape = bindings.ShapeOf(1); return t }
	for text, do := range map[string]func(ops bindings.Ops, dst, a, b bindings.Tensor){
		"before its start":  func(ops bindings.Ops, dst, a, b bindings.Tensor) { ops.Add(dst, a, b); ops.Zero(before(dst)) },
		"beyond its end":    func(ops bindings.Ops, dst, a, b bindings.Tensor) { ops.Add(dst, a, b); ops.Zero(after(dst)) },
		"input was written": func(ops bindings.Ops, dst, a, b bindings.Tensor) { ops.Add(dst, a, b); ops.Zero(b) },
		"is NaN": func(ops bindings.Ops, dst, a, b bindings.Tensor) {
			ops.Add(dst.RowRange(0, 6), a.RowRange(0, 6), b.RowRange(0, 6))
		},
		"gives other bits": func(ops bindings.Ops, dst, a, b bindings.Tensor) {
			ops.Add(dst, a, b)
			if launches++; launches%2 == 0 {
				ops.Zero(dst)
			}
		},
	} {
		backend := mutant{reference.New(reference.Float32), func(ops bindings.Ops) bindings.Ops { return lawless{ops, do} }}
		for _, c := range Cases() {
			if c.Name() == "add/7x63" {
				_, err := check(backend, c, bindings.F32, Options{})
				require.ErrorContains(t, err, text)
			}
		}
	}
}

// without lacks one operation.
type without struct{ bindings.Backend }

func (w without) Open(bindings.Plan) (bindings.Device, error) { return withoutDevice{}, nil }

type withoutDevice struct{ bindings.Device }

func (withoutDevice) Prepare(string, func(bindings.Ops)) (bindings.Program, error) {
	return nil, &bindings.OpError{Op: "add", Err: bindings.ErrNotImplemented}
}
func (withoutDevice) Close() error { return nil }

func TestMissing(t *testing.T) {
	for _, c := range Cases() {
		if c.Name() == "add/7x63" {
			_, err := check(without{reference.New(reference.Float32)}, c, bindings.F32, Options{})
			require.True(t, errors.Is(err, bindings.ErrNotImplemented))
		}
	}
	Run(t, without{reference.New(reference.Float32)}, Options{Only: "add/7x63", AllowMissing: true})
}

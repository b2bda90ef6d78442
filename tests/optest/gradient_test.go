package optest

import (
	"maps"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

// gradient pairs a forward case with its backward case. The loss is Σ y·dy, so
// that the gradient of input x is what the backward pass gives from dy.
type gradient struct {
	name              string
	forward, backward build
	y, dy             string
	grads             map[string]string // input → its gradient
}

// differences is the gradient of the loss by one input, by central differences.
func differences(t *testing.T, g gradient, name string, x, dy []float64) []float64 {
	loss := func(x []float64) (s float64) {
		out, err := evaluate(g.forward, bindings.F64, map[string][]float64{name: x}, nil)
		require.NoError(t, err)
		for i, v := range out[g.y] {
			s += v * dy[i]
		}
		return s
	}
	d := make([]float64, len(x))
	for i, v := range x {
		const h = 1e-5
		x[i] = v + h
		up := loss(x)
		x[i] = v - h
		d[i] = (up - loss(x)) / (2 * h)
		x[i] = v
	}
	return d
}

// contents are the values of every float tensor that a case begins with.
func contents(b build) map[string][]float64 {
	m := &maker{mem: bindings.NewMemory(), profile: bindings.ReferenceProfile(), act: bindings.F64, wide: true, guard: 8}
	b(m)
	all := map[string][]float64{}
	for _, s := range m.specs {
		if s.values != nil {
			all[s.name] = s.values
		}
	}
	return all
}

func gradients() (all []gradient) {
	for _, c := range []linear{
		{tokens: 5, out: 7, in: 9, bias: true},
		{tokens: 5, out: 7, in: 8, ranks: []int{3}},
		{tokens: 5, out: 6, in: 9, ranks: []int{2, 3}, drop: 0.4},
		{tokens: 5, out: 6, in: 9, ranks: []int{2, 3}, drop: 0.4, gate: true},
	} {
		grads := map[string]string{"x": "dx", "w": "dw"}
		if c.bias {
			grads["bias"] = "dbias"
		}
		for i := range c.ranks {
			n := string(rune('0' + i))
			grads["A"+n], grads["B"+n] = "dA"+n, "dB"+n
		}
		everything := wanted{dx: true, dw: true, dbias: c.bias, da: true, db: true}
		all = append(all, gradient{"linear " + c.String(), c.forward(), c.backward(everything), "y", "dy", grads})
	}
	for _, c := range []magnitude{{}, {residual: true, bias: true, gate: true}} {
		s := [2]int{5, 7}
		all = append(all, gradient{"magnitude " + c.String(), c.forward(s), c.backward(s, "dz and dm "), "y", "dy", map[string]string{"z": "dz", "m": "dm"}})
	}
	for _, rest := range []bool{false, true} {
		all = append(all, gradient{"dropout", dropped("x", "y", [2]int{5, 7}, rest, bindings.Set), dropped("dy", "dx", [2]int{5, 7}, rest, bindings.Set), "y", "dy", map[string]string{"x": "dx"}})
	}
	for _, c := range []norm{{name: "rms_norm", eps: 1e-2}, {name: "rms_norm, unit offset", eps: 1e-2, unitOffset: true}} {
		s := [2]int{5, 7}
		b := normBackward{dx: true, dw: true}
		all = append(all, gradient{c.name, c.forward(s), c.backward(s, b), "y", "dy", map[string]string{"x": "dx", "w": "dw"}})
	}
	for _, c := range []attention{
		{cu: []int32{0, 3, 3, 9}, heads: 4, kvHeads: 2, dim: 3},
		{cu: []int32{0, 3, 9}, heads: 2, kvHeads: 1, dim: 4, full: true, name: "bidirectional "},
		{cu: []int32{0, 9}, heads: 2, kvHeads: 1, dim: 4, window: 3, softCap: 1.2, name: "window, soft cap "},
		{cu: []int32{0, 2, 7}, heads: 2, kvHeads: 1, dim: 4, prefix: 3, softCap: 2, name: "prefix "},
	} {
		grads := map[string]string{"q": "dq", "k": "dk", "v": "dv"}
		if c.prefix > 0 {
			grads["prefix k"], grads["prefix v"] = "dpk", "dpv"
		}
		all = append(all, gradient{"attention " + c.String(), c.forward(), c.backward(), "o", "do", grads})
	}
	for _, c := range []loss{
		{tokens: 6, targets: 3, vocab: 9, hidden: 5, filler: 2, dx: true, dw: true, name: "filled "},
		{tokens: 4, targets: 4, vocab: 7, hidden: 5, softCap: 1.5, dx: true, dw: true, name: "soft cap "},
		{tokens: 4, targets: 3, vocab: 7, hidden: 5, smoothing: 0.2, dx: true, dw: true, name: "smoothed "},
		{tokens: 4, targets: 3, vocab: 7, hidden: 5, softCap: 1.5, smoothing: 0.1, zLoss: 0.05, dx: true, dw: true, name: "z-loss "},
	} {
		// The loss is element 0; the operation takes no gradient of its own.
		all = append(all, gradient{"linear_cross_entropy " + c.String(), c.build, c.build, "loss", "", map[string]string{"x": "dx", "w": "dw"}})
	}
	for _, inverse := range []bool{false, true} {
		rotate := func(from, to string, inverse bool) build {
			return func(m *maker) func(bindings.Ops) {
				table := m.given("table", input, m.act, normal("table", []int{5, 4}), 5, 4)
				x, y := m.in(from, 5, 18), m.out(to, 5, 18)
				return func(ops bindings.Ops) { ops.RoPE(y, x, table, 6, inverse) }
			}
		}
		all = append(all, gradient{"rope", rotate("x", "y", inverse), rotate("dy", "dx", !inverse), "y", "dy", map[string]string{"x": "dx"}})
	}
	embed := func(m *maker) func(bindings.Ops) {
		y, table, ids := m.out("y", 5, 3), m.in("table", 4, 3), m.ints("ids", []int32{1, 3, 1, 1, 0}, 5)
		return func(ops bindings.Ops) { ops.Embedding(y, table, ids) }
	}
	embedBackward := func(m *maker) func(bindings.Ops) {
		g, dy, ids := m.sum("dtable", 4, 3), m.in("dy", 5, 3), m.ints("ids", []int32{1, 3, 1, 1, 0}, 5)
		return func(ops bindings.Ops) { ops.EmbeddingBackward(g, dy, ids) }
	}
	all = append(all, gradient{"embedding", embed, embedBackward, "y", "dy", map[string]string{"table": "dtable"}})
	gated := func(m *maker) func(bindings.Ops) {
		gate, up, y := m.in("gate", 4, 5), m.in("up", 4, 5), m.out("y", 4, 5)
		return func(ops bindings.Ops) { ops.SwiGLU(y, gate, up) }
	}
	gatedBackward := func(m *maker) func(bindings.Ops) {
		gate, up, dy := m.in("gate", 4, 5), m.in("up", 4, 5), m.in("dy", 4, 5)
		dgate, dup := m.out("dgate", 4, 5), m.out("dup", 4, 5)
		return func(ops bindings.Ops) { ops.SwiGLUBackward(dgate, dup, dy, gate, up) }
	}
	all = append(all, classifierGradients()...)
	return append(all, gradient{"swiglu", gated, gatedBackward, "y", "dy", map[string]string{"gate": "dgate", "up": "dup"}})
}

// TestGradients proves the reference: every backward pass against central
// differences of its forward pass, every element, in float64. With h = 1e-5 the
// truncation is about h² = 1e-10 and the rounding 2⁻⁵³/h = 1e-11, relatively.
func TestGradients(t *testing.T) {
	for _, g := range gradients() {
		t.Run(g.name, func(t *testing.T) {
			before := contents(g.backward)
			dy := before[g.dy]
			if g.dy == "" {
				dy = []float64{1, 0}
			}
			got, err := evaluate(g.backward, bindings.F64, nil, nil)
			require.NoError(t, err)
			inputs := contents(g.forward)
			for name, grad := range maps.All(g.grads) {
				want, had := differences(t, g, name, inputs[name], dy), got[grad]
				require.Len(t, had, len(want), grad)
				var off, size float64
				for i, v := range had {
					if start, ok := before[grad]; ok { // gradients of parameters are added to
						v -= start[i]
					}
					off, size = off+(v-want[i])*(v-want[i]), size+want[i]*want[i]
				}
				require.Positive(t, size, grad)
				require.Less(t, math.Sqrt(off/size), 1e-8, "%s: the backward pass and the differences of %s", grad, name)
			}
		})
	}
}

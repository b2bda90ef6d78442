package parity_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestQuantizedCheckpoint writes the base in four bits: the weight file is that
// of transformers + bitsandbytes, byte for byte, so that they load it.
func TestQuantizedCheckpoint(t *testing.T) {
	for name, double := range map[string]bool{"nf4": true, "nf4-plain": false} {
		t.Run(name, func(t *testing.T) {
			f := read(t, "qlora")
			dir := filepath.Join(t.TempDir(), name)
			m := model.New(f.config(t))
			require.NoError(t, export.Quantize(t.Context(), onDevice(t, m), f.checkpoint(t), m, double, dir, nil))
			file := func(dir string) []byte {
				raw, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
				require.NoError(t, err)
				return raw
			}
			require.Equal(t, file(filepath.Join(f.dir, name)), file(dir))
			// What config.json says of it, as it is written: 6.0 is not 6.
			scheme := func(dir string) (all map[string]json.RawMessage) {
				raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
				require.NoError(t, err)
				var c struct {
					Scheme map[string]json.RawMessage `json:"quantization_config"`
				}
				require.NoError(t, json.Unmarshal(raw, &c))
				return c.Scheme
			}
			theirs := scheme(filepath.Join(f.dir, name))
			for key, ours := range scheme(dir) {
				assert.Equal(t, string(theirs[key]), string(ours), key)
			}
		})
	}
}

// quantized opens the base as bitsandbytes wrote it.
func (f *fixture) quantized(t *testing.T, name string) *hub.Model {
	t.Helper()
	h, err := hub.Open(filepath.Join(f.dir, name))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	raw := h.Config.Bytes()
	_, err = model.ParseConfig(name, raw)
	require.NoError(t, err, "config.json of a quantised checkpoint")
	return h
}

// TestDecodedWeights: what graft reads is what bitsandbytes decodes, bit for bit.
func TestDecodedWeights(t *testing.T) {
	f := read(t, "qlora")
	require.Len(t, f.Decoded, 14)
	source := f.quantized(t, "nf4")
	for name, want := range f.Decoded {
		for _, l := range model.New(f.config(t)).Decoder.Linears() {
			if l.W.Name != name {
				continue
			}
			read, err := model.Values(source, name)
			require.NoError(t, err)
			values := make([]float32, l.W.Len())
			require.NoError(t, read(values, 0))
			got := sha256.Sum256(bindings.Encode(bindings.F32, values))
			assert.Equal(t, want, hex.EncodeToString(got[:]), name)
		}
	}
}

// qlora is the setting of the QLoRA fixture with a base, before training.
func (f *fixture) qlora(t *testing.T, source model.Source, quant model.Quantization) setting {
	t.Helper()
	dir := filepath.Join(f.dir, "initial")
	c, err := lora.Read(dir)
	require.NoError(t, err)
	s := setting{config: f.config(t), source: source, quant: quant, method: c, adapter: dir, hyper: hyper}
	for i := range f.Rows {
		s.buckets = append(s.buckets, f.apart([]int{i}))
	}
	for _, step := range f.Methods["f32"].Steps {
		s.buckets = append(s.buckets, f.packed(step.Rows))
	}
	return s
}

// TestQLoRA follows PEFT on a base that bitsandbytes holds in four bits through
// twenty steps: logits, gradients, losses, trained values. The base is read
// quantised, or quantised while it is read: both are the same bits.
func TestQLoRA(t *testing.T) {
	f := read(t, "qlora")
	final := map[string]map[string][]float32{}
	for _, c := range []struct {
		name, course string
		kind
		logits, loss, gradient, trained float64 // relative
	}{
		{"float64", "f32", exact, close, close, close, close},
		{"float32", "f32", single, close, close, close, close},
		{"bfloat16", "bf16", half, 3e-2, 2e-2, 3e-2, 3e-2},
	} {
		for name, s := range map[string]setting{
			"read quantised": f.qlora(t, f.quantized(t, "nf4"), model.QuantAuto),
			"quantised":      f.qlora(t, f.checkpoint(t), model.QuantNF4),
		} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				got := logits(t, c.kind, s, f.row(2))
				assert.Less(t, distance(f.tensor(t, c.course+".logits"), got), c.logits)
				e := open(t, c.kind, s)
				var want, had []float64
				for i, step := range f.Methods[c.course].Steps {
					got, err := e.Step(i, step.LR, f.packed(step.Rows))
					require.NoError(t, err)
					assert.InEpsilon(t, step.Loss, got.Loss, c.loss, "loss of step %d", i)
					assert.InEpsilon(t, step.GradNorm, got.GradNorm, 3*c.gradient, "gradient norm of step %d", i)
					if i > 0 {
						continue
					}
					for p, g := range trained(t, e, gradient) {
						theirs := f.tensor(t, c.course+".gradient."+p)
						for i := range g {
							want, had = append(want, float64(theirs[i])), append(had, g[i])
						}
					}
					d := distance(want, had)
					assert.Less(t, d, c.gradient)
					t.Logf("gradients of the first step: %.2g", d)
				}
				assert.Equal(t, e.Planned(), e.Used())

				c2, err := lora.Read(filepath.Join(f.dir, "final."+c.course))
				require.NoError(t, err)
				theirs, err := c2.Load(filepath.Join(f.dir, "final."+c.course), e.Model)
				require.NoError(t, err)
				want, had = nil, nil
				values := map[string][]float32{}
				for p, v := range trained(t, e, weight) {
					for i := range v {
						want, had = append(want, float64(theirs[p][i])), append(had, v[i])
						values[p] = append(values[p], float32(v[i]))
					}
				}
				d := distance(want, had)
				assert.Less(t, d, c.trained)
				t.Logf("trained values: %.2g", d)
				if before, ok := final[c.name]; ok {
					assert.Equal(t, before, values, "a base quantised ahead or while it is read")
				}
				final[c.name] = values
			})
		}
	}
}

// TestBrokenQuantizationIsNoticed: the 16-bit base, scales that are not
// quantised in turn, and one code in a matrix leave the gate of the losses.
func TestBrokenQuantizationIsNoticed(t *testing.T) {
	f := read(t, "qlora")
	step := f.Methods["f32"].Steps[0]
	for name, s := range map[string]setting{
		"not quantised":    f.qlora(t, f.checkpoint(t), model.QuantNone),
		"plain scales":     f.qlora(t, f.quantized(t, "nf4-plain"), model.QuantAuto),
		"another code":     f.qlora(t, flipped{f.quantized(t, "nf4"), "model.layers.1.self_attn.v_proj.weight", 77}, model.QuantAuto),
		"another scale":    f.qlora(t, flipped{f.quantized(t, "nf4"), "model.layers.0.mlp.up_proj.weight.absmax", 5}, model.QuantAuto),
		"decoded, not bad": f.qlora(t, f.quantized(t, "nf4"), model.QuantNone),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := open(t, single, s).Step(0, step.LR, f.packed(step.Rows))
			require.NoError(t, err)
			off := math.Abs(got.Loss/step.Loss - 1)
			if name == "decoded, not bad" {
				assert.Less(t, off, close)
				return
			}
			assert.Greater(t, off, close)
		})
	}
}

// flipped is a checkpoint with one byte of one tensor changed in its top bits.
type flipped struct {
	*hub.Model
	name string
	at   int64
}

func (f flipped) ReadAt(name string, dst []byte, offset int64) error {
	err := f.Model.ReadAt(name, dst, offset)
	if i := f.at - offset; name == f.name && i >= 0 && i < int64(len(dst)) {
		dst[i] ^= 0x70
	}
	return err
}

package parity_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file break something on purpose, in a small way, and show
// that the tolerances of the others would notice.

// TestBrokenModelsAreNoticed: the logits leave their gate.
func TestBrokenModelsAreNoticed(t *testing.T) {
	for _, b := range []struct {
		family, what string
		change       func(*model.Config)
	}{
		{"llama", "rope base", func(c *model.Config) { c.Rope.Theta *= 1.001 }},
		{"llama", "no rope scaling", func(c *model.Config) { c.Rope.Type = "default" }},
		{"llama", "rope scaled linearly", func(c *model.Config) { c.Rope.Type = "linear" }},
		{"llama", "original length of rope", func(c *model.Config) { c.Rope.Original = 17 }},
		{"llama", "epsilon of the norms", func(c *model.Config) { c.NormEps = 1e-6 }},
		{"mistral", "window too long", func(c *model.Config) { c.Windows = []int{9, 9} }},
		{"mistral", "window too short", func(c *model.Config) { c.Windows = []int{7, 7} }},
		{"mistral", "no window", func(c *model.Config) { c.Windows = []int{0, 0} }},
		{"qwen2", "window on the other layer", func(c *model.Config) { c.Windows = []int{8, 0} }},
	} {
		t.Run(b.family+"/"+b.what, func(t *testing.T) {
			f := read(t, b.family)
			c := f.config(t)
			c.Windows = append([]int(nil), c.Windows...)
			b.change(&c)
			got := logits(t, single, setting{config: c, source: f.checkpoint(t)}, f.row(0))
			assert.Greater(t, distance(f.tensor(t, "logits.0"), got), close)
		})
	}
}

// TestBrokenAdaptersAreNoticed: so do those of an adapted model.
func TestBrokenAdaptersAreNoticed(t *testing.T) {
	for _, b := range []struct {
		name, what string
		change     func(*lora.Config)
	}{
		{"qv", "scale", func(c *lora.Config) { c.Alpha *= 1.001 }},
		{"qv", "no scale", func(c *lora.Config) { c.Alpha = float64(c.R) }},
		{"rslora", "scale of plain LoRA", func(c *lora.Config) { c.RSLoRA = false }},
		{"patterns", "no alpha_pattern", func(c *lora.Config) { c.AlphaPattern = nil }},
	} {
		t.Run(b.name+"/"+b.what, func(t *testing.T) {
			f := read(t, "llama")
			c := f.method(t, b.name).(lora.Config)
			b.change(&c)
			s := setting{config: f.config(t), source: f.checkpoint(t), method: c, adapter: f.adapter(b.name, "final")}
			assert.Greater(t, distance(f.tensor(t, b.name+".logits"), logits(t, single, s, f.row(2))), close)
		})
	}
}

// TestBrokenTrainingIsNoticed: twenty steps leave the gate of the losses, of
// the gradient norms, or of the trained parameters, which is a few times as
// wide: an instruction set of its own rounding is itself 1e-5 away.
func TestBrokenTrainingIsNoticed(t *testing.T) {
	type run struct {
		setting
		lr      func(float64) float64
		batches func([]data.MicroBatch)
	}
	for _, b := range []struct {
		what   string
		change func(*run)
	}{
		{"nothing", func(*run) {}},
		{"no clipping", func(r *run) { r.hyper.MaxGradNorm = 0 }},
		{"no weight decay", func(r *run) { r.hyper.WeightDecay = 0 }},
		{"beta2", func(r *run) { r.hyper.Beta2 = 0.9985 }},
		{"beta1", func(r *run) { r.hyper.Beta1 = 0.901 }},
		{"learning rate", func(r *run) { r.lr = func(lr float64) float64 { return 1.001 * lr } }},
		{"a target too few", func(r *run) {
			r.batches = func(b []data.MicroBatch) { b[0].Weights[0] = 0 }
		}},
		{"a target of the next row", func(r *run) {
			r.batches = func(b []data.MicroBatch) { b[0].Targets[0] = (b[0].Targets[0] + 1) % 61 }
		}},
	} {
		t.Run(b.what, func(t *testing.T) {
			f := read(t, "llama")
			r := run{setting: f.setting(t, "full"), lr: func(lr float64) float64 { return lr }, batches: func([]data.MicroBatch) {}}
			b.change(&r)
			e := open(t, single, r.setting)
			worst := map[string]float64{}
			for i, want := range f.Methods["full"].Steps {
				batches := f.packed(want.Rows)
				r.batches(batches)
				got, err := e.Step(i, r.lr(want.LR), batches)
				require.NoError(t, err)
				worst["loss"] = max(worst["loss"], math.Abs(got.Loss/want.Loss-1))
				worst["gradient norm"] = max(worst["gradient norm"], math.Abs(got.GradNorm/want.GradNorm-1))
			}
			final := f.final(t, "full")
			for p, got := range trained(t, e, weight) {
				worst["parameters"] = max(worst["parameters"], distance(final[p], got))
			}
			noticed := worst["loss"] > close || worst["gradient norm"] > close || worst["parameters"] > 4*close
			assert.Equal(t, b.what != "nothing", noticed, fmt.Sprint(worst))
		})
	}
}

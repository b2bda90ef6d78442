package parity_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// variants are those of make_variants.py, and "frozen": full fine-tuning with
// the embedding and the lowest layer as they are.
var variants = map[string][]string{
	"llama":      {"dora", "dora-rslora", "rslora-patterns", "loraplus", "pissa", "pissa-rslora", "layers", "modules", "frozen"},
	"llama-tied": {"dora", "modules-embed", "modules-head"},
}

// readVariants is the fixture of a family with the courses of its variants.
func readVariants(t *testing.T, family string) *fixture {
	t.Helper()
	f := read(t, family)
	raw, err := os.ReadFile(filepath.Join(f.dir, "variants.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &f.Methods))
	more, err := method.ReadTensors(filepath.Join(f.dir, "variants.safetensors"))
	require.NoError(t, err)
	for n, v := range more {
		f.tensors[n] = v
	}
	return f
}

// variant is the setting of a variant at its start.
func (f *fixture) variant(t *testing.T, name string) setting {
	t.Helper()
	s := setting{config: f.config(t), source: f.checkpoint(t), hyper: hyper}
	switch name {
	case "frozen":
		s.method = full.Config{Freeze: []string{"embed_tokens", "layers.0"}}
	case "pissa":
		s.method = lora.Config{R: 3, Alpha: 6, Targets: []string{"q_proj", "up_proj", "down_proj"}, Init: "pissa"}
	case "pissa-rslora":
		s.method = lora.Config{R: 4, Alpha: 5, Targets: []string{"q_proj", "v_proj"}, Init: "pissa", RSLoRA: true}
	default:
		c := f.method(t, name).(lora.Config)
		if name == "loraplus" {
			c.PlusRatio = 16
		}
		s.method, s.adapter = c, f.adapter(name, "initial")
	}
	for i := range f.Rows {
		s.buckets = append(s.buckets, f.apart([]int{i}))
	}
	for _, step := range f.Methods[name].Steps {
		s.buckets = append(s.buckets, f.packed(step.Rows))
	}
	return s
}

func eachVariant(t *testing.T, run func(t *testing.T, f *fixture, name string)) {
	for family, names := range variants {
		for _, name := range names {
			t.Run(family+"/"+name, func(t *testing.T) { run(t, readVariants(t, family), name) })
		}
	}
}

// TestVariantGradients compares every gradient of the first step. Those of
// PiSSA are left to the losses: singular vectors have no sign.
func TestVariantGradients(t *testing.T) {
	eachVariant(t, func(t *testing.T, f *fixture, name string) {
		if strings.HasPrefix(name, "pissa") {
			return
		}
		for _, k := range []kind{exact, single} {
			e := open(t, k, f.variant(t, name))
			first := f.Methods[name].Steps[0]
			_, err := e.Step(0, first.LR, f.apart(first.Rows))
			require.NoError(t, err)
			all := trained(t, e, gradient)
			for p, got := range all {
				assert.Less(t, distance(f.tensor(t, name+".gradient."+p), got), close, "%s: %s", k.name, p)
			}
			for n := range f.tensors {
				if p, ok := strings.CutPrefix(n, name+".gradient."); ok {
					assert.Contains(t, all, p, "PEFT trains it")
				}
			}
		}
	})
}

// TestVariantSteps follows twenty steps, and the values or the file after them.
func TestVariantSteps(t *testing.T) {
	eachVariant(t, func(t *testing.T, f *fixture, name string) {
		course := f.Methods[name]
		for _, k := range []kind{exact, single} {
			e := open(t, k, f.variant(t, name))
			for i, want := range course.Steps {
				got, err := e.Step(i, want.LR, f.packed(want.Rows))
				require.NoError(t, err)
				assert.InEpsilon(t, want.Loss, got.Loss, 2*close, "%s: loss of step %d", k.name, i)
				assert.InEpsilon(t, want.GradNorm, got.GradNorm, 5*close, "%s: gradient norm of step %d", k.name, i)
			}
			assert.Equal(t, e.Planned(), e.Used())
			if name == "frozen" {
				continue
			}
			s := f.variant(t, name)
			dir := filepath.Join(t.TempDir(), "adapter")
			require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error { return s.method.Save(d, e.Model, e.Values) }))
			// What was written gives PEFT's logits.
			read, err := lora.Read(dir)
			require.NoError(t, err)
			loaded := setting{config: s.config, source: s.source, method: read, adapter: dir}
			assert.Less(t, distance(f.tensor(t, name+".logits"), logits(t, k, loaded, f.row(2))), 5*close, k.name)
		}
	})
}

// TestVariantOfPEFT loads what PEFT wrote, PiSSA as PEFT converted it.
func TestVariantOfPEFT(t *testing.T) {
	eachVariant(t, func(t *testing.T, f *fixture, name string) {
		if name == "frozen" {
			return
		}
		dir := f.adapter(name, "final")
		c, err := lora.Read(dir)
		require.NoError(t, err)
		for _, k := range []kind{exact, single} {
			s := setting{config: f.config(t), source: f.checkpoint(t), method: c, adapter: dir}
			assert.Less(t, distance(f.tensor(t, name+".logits"), logits(t, k, s, f.row(2))), close, k.name)
		}
	})
}

// TestVariantMerge holds the merge of DoRA to merge_and_unload's.
func TestVariantMerge(t *testing.T) {
	eachVariant(t, func(t *testing.T, f *fixture, name string) {
		if !strings.HasPrefix(name, "dora") && name != "modules" {
			return
		}
		m := model.New(f.config(t))
		c, err := lora.Read(f.adapter(name, "final"))
		require.NoError(t, err)
		require.NoError(t, c.Attach(m, 7))
		values, err := c.Load(f.adapter(name, "final"), m)
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "merged")
		require.NoError(t, export.Merge(t.Context(), onDevice(t, m), f.checkpoint(t), m, values, dir, nil))
		after, err := method.ReadTensors(filepath.Join(dir, "model.safetensors"))
		require.NoError(t, err)
		for n, want := range f.tensors {
			if w, ok := strings.CutPrefix(n, name+".merged."); ok {
				assert.Less(t, distance(want, after[w]), 1e-6, w)
			}
		}
		h, err := hub.Open(dir)
		require.NoError(t, err)
		defer h.Close()
		got := logits(t, single, setting{config: f.config(t), source: h}, f.row(2))
		assert.Less(t, distance(f.tensor(t, name+".logits"), got), close)
	})
}

// TestDropoutOfDoRA: PEFT with our masks. The base takes the dropped input in
// what the adapter changes, and the whole input elsewhere.
func TestDropoutOfDoRA(t *testing.T) {
	f := readVariants(t, "llama")
	for _, k := range []kind{exact, single} {
		c, err := lora.Read(f.adapter("dora-dropout", "initial"))
		require.NoError(t, err)
		batches := f.apart([]int{0, 2, 4})
		e := open(t, k, setting{
			config: f.config(t), source: f.checkpoint(t), method: c, adapter: f.adapter("dora-dropout", "initial"), hyper: hyper,
			buckets: [][]data.MicroBatch{batches},
		})
		_, err = e.Step(0, peakLR, batches)
		require.NoError(t, err)
		for p, got := range trained(t, e, gradient) {
			assert.Less(t, distance(f.tensor(t, "dora-dropout.gradient."+p), got), close, "%s: %s", k.name, p)
		}
	}
}

// TestMagnitudesStartAsNorms: a fresh DoRA adapter leaves the base as it is.
func TestMagnitudesStartAsNorms(t *testing.T) {
	f := read(t, "llama")
	s := setting{
		config: f.config(t), source: f.checkpoint(t), hyper: hyper, buckets: [][]data.MicroBatch{f.apart([]int{2})},
		method: lora.Config{R: 4, Alpha: 8, Targets: []string{"all-linear"}, DoRA: true},
	}
	e := open(t, single, s)
	got, err := e.Evaluate(f.apart([]int{2}))
	require.NoError(t, err)
	s.method = full.Config{}
	base := open(t, single, s)
	want, err := base.Evaluate(f.apart([]int{2}))
	require.NoError(t, err)
	assert.InEpsilon(t, want.Loss, got.Loss, 1e-6)
}

// TestPiSSAStartsAsTheBase, exact and by random projection, to rounding.
func TestPiSSAStartsAsTheBase(t *testing.T) {
	f := read(t, "llama")
	want := f.tensor(t, "logits.2")
	for _, init := range []string{"pissa", "pissa_niter_4"} {
		s := setting{
			config: f.config(t), source: f.checkpoint(t), hyper: hyper, buckets: [][]data.MicroBatch{f.apart([]int{2})},
			method: lora.Config{R: 4, Alpha: 8, Targets: []string{"all-linear"}, Init: init},
		}
		e := open(t, single, s)
		dir := filepath.Join(t.TempDir(), "adapter")
		require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error { return s.method.Save(d, e.Model, e.Values) }))
		c, err := lora.Read(dir)
		require.NoError(t, err)
		assert.Equal(t, 8, c.R)
		loaded := setting{config: s.config, source: s.source, method: c, adapter: dir}
		assert.Less(t, distance(want, logits(t, single, loaded, f.row(2))), close, init)
		got, err := e.Evaluate(f.apart([]int{2}))
		require.NoError(t, err)
		assert.InEpsilon(t, f.Losses[2].Sum/float64(f.Losses[2].Count), got.Loss, close, init)
	}
}

// TestVariantsFreezeTheRest: only what a variant says has a gradient.
func TestVariantsFreezeTheRest(t *testing.T) {
	f := read(t, "llama-tied")
	m := model.New(f.config(t))
	c := lora.Config{R: 4, Alpha: 8, Targets: []string{"q_proj"}, Layers: []int{1}, Modules: []string{"lm_head"}}
	require.NoError(t, c.Attach(m, 7))
	var names []string
	for _, p := range m.Params.Trainable() {
		names = append(names, p.Name)
	}
	assert.ElementsMatch(t, []string{"model.layers.1.self_attn.q_proj.lora_A.weight", "model.layers.1.self_attn.q_proj.lora_B.weight", "lm_head.weight"}, names)
	assert.Equal(t, model.New(f.config(t)).BaseLen(), m.BaseLen(), "the copy is no part of the base")
	for text, wrong := range map[string]lora.Config{
		"matches no module": {R: 4, Alpha: 8, Targets: []string{"q_proj"}, Modules: []string{"embed"}},
		"adapts too":        {R: 4, Alpha: 8, Targets: []string{"q_proj"}, Modules: []string{"q_proj"}},
		"choose one":        {R: 4, Alpha: 8, Targets: []string{"q_proj"}, DoRA: true, Init: "pissa"},
	} {
		assert.ErrorContains(t, wrong.Attach(model.New(f.config(t)), 7), text)
	}
	assert.ErrorContains(t, full.Config{Freeze: []string{"layers.7"}}.Attach(model.New(f.config(t)), 7), "matches no module")
	assert.ErrorContains(t, full.Config{Freeze: []string{"model"}}.Attach(model.New(f.config(t)), 7), "leaves nothing to train")
}

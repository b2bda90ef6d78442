//go:build cuda

package step

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/model"
)

// TestReaders: everything that reads a model does it alike on both devices:
// evaluation, generation with a cache, greedy and drawn, chat, classes, the
// drift of a merge, a quantised base.
func TestReaders(t *testing.T) {
	dir := workplace(t)
	in := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for _, name := range []string{"lora", "prompt", "prefix"} {
		settings[name].train(t, dir, name, cpu, 0, false)
	}
	for name, device := range map[string]string{"nf4": cpu, "nf4 on cuda": cuda} {
		_, err := graft.Quantize(t.Context(), graft.QuantizeOptions{Model: in("llama-f32"), Out: in(name), Device: device})
		require.NoError(t, err)
	}

	type speech struct {
		loss, accuracy float64
		texts          []string
	}
	read := func(device string) (all map[string]speech, drift *graft.Merged) {
		all = map[string]speech{}
		for _, x := range []struct{ what, base, adapter string }{
			{"base", "llama-f32", ""}, {"nf4", "nf4", ""}, {"bf16", "llama-bf16", ""},
			{"lora", "llama-f32", "lora"}, {"prompt", "llama-f32", "prompt"}, {"prefix", "llama-f32", "prefix"},
		} {
			var s speech
			if x.adapter != "" {
				run, err := settings[x.adapter].prepare(t.Context(), t, dir, "eval", device, "method.init_from="+in(x.adapter, "adapter"))
				require.NoError(t, err)
				r, err := run.Evaluate(t.Context())
				require.NoError(t, err)
				require.NoError(t, run.Close())
				s.loss, s.accuracy = r.Loss, r.Accuracy
			}
			o := graft.SpeakerOptions{Model: in(x.base), Device: device, Threads: 2, MaxTokens: 256, Sequences: 2, Quant: model.QuantAuto}
			if x.adapter != "" {
				o.Adapters = []graft.Weighted{{Dir: in(x.adapter, "adapter"), Weight: 1}}
			}
			speaker, err := graft.OpenSpeaker(t.Context(), o)
			require.NoError(t, err, x.what)
			defer speaker.Close()
			for _, p := range []generate.Params{{MaxNewTokens: 6}, {MaxNewTokens: 6, Temperature: 0.9, TopK: 20, TopP: 0.9, RepetitionPenalty: 1.1, Seed: 3}} {
				var ids [][]int32
				for _, text := range []string{"one two", "three", "four one two three"} {
					tokens, err := speaker.Encode(text)
					require.NoError(t, err)
					ids = append(ids, tokens)
				}
				answers, err := speaker.Text.Generate(t.Context(), ids, p, nil, nil)
				require.NoError(t, err)
				for _, a := range answers {
					s.texts = append(s.texts, a.Text)
				}
			}
			if x.what == "lora" {
				c, err := speaker.Chat("chatml", "be brief", generate.Params{MaxNewTokens: 4})
				require.NoError(t, err)
				for _, message := range []string{"one", "two"} {
					a, err := c.Say(t.Context(), message, nil)
					require.NoError(t, err)
					s.texts = append(s.texts, a.Text)
				}
			}
			require.NoError(t, speaker.Close())
			all[x.what] = s
		}
		out := in("merged " + strings.ReplaceAll(device, ":", ""))
		m, err := graft.Merge(t.Context(), graft.MergeOptions{
			Model: in("llama-f32"), Out: out, Adapters: []graft.Weighted{{Dir: in("lora", "adapter"), Weight: 1}},
			Samples: 1, MaxKL: 0.02, Device: device,
		})
		require.NoError(t, err)
		return all, &m
	}
	want, onCPU := read(cpu)
	got, onGPU := read(cuda)
	for what, w := range want {
		g := got[what]
		assert.InEpsilon(t, w.loss+1, g.loss+1, 1e-5, what)
		assert.Equal(t, w.accuracy, g.accuracy, what)
		assert.Equal(t, w.texts, g.texts, what)
	}
	// The drift of a merge in float32 is rounding: a few 1e-7 of logits around 1,
	// squared. Its effect is that of the adapter, the same on both.
	assert.Less(t, onGPU.Drift.KL, 1e-6)
	assert.InEpsilon(t, onCPU.Drift.Effect, onGPU.Drift.Effect, 1e-3)
	file := func(name string) []byte {
		raw, err := os.ReadFile(in(name, "model.safetensors"))
		require.NoError(t, err)
		return raw
	}
	assert.Equal(t, file("nf4"), file("nf4 on cuda"))
	// Four products and the weight are summed in float32, in another order.
	merged := func(device string) map[string][]float32 {
		v, err := method.ReadTensors(in("merged "+device, "model.safetensors"))
		require.NoError(t, err)
		return v
	}
	host, dev := merged("cpu"), merged("cuda0")
	require.Len(t, dev, len(host))
	for name, want := range host {
		largest := 0.0
		for _, v := range want {
			largest = max(largest, math.Abs(float64(v)))
		}
		assert.InDeltaSlice(t, want, dev[name], 6*math.Pow(2, -24)*2*largest, name)
	}

	settings["head over an encoder"].train(t, dir, "head", cpu, 0, false)
	predict := func(device string) []graft.Prediction {
		c, err := graft.OpenClassifier(t.Context(), graft.ClassifierOptions{Model: in("bert-f32"), Head: in("head", "adapter"), Device: device, MaxTokens: 32})
		require.NoError(t, err)
		p, err := c.Classify(t.Context(), []string{"one two", "three four two"})
		require.NoError(t, err)
		require.NoError(t, c.Close())
		return p
	}
	first, second := predict(cpu), predict(cuda)
	for i := range first {
		assert.Equal(t, first[i].Label, second[i].Label)
		for class, p := range first[i].Scores {
			assert.InDelta(t, p, second[i].Scores[class], 1e-5)
		}
	}
	assert.Zero(t, native.Live())
}

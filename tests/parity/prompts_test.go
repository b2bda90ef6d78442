package parity_test

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/prefix"
	"github.com/graftlm/graft/go/method/prompt"
	"github.com/graftlm/graft/go/method/promptlearning"
	"github.com/graftlm/graft/go/method/registry"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/optim"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prompts are the methods of make_prompts.py.
var prompts = map[string]method.Method{
	"prompt":    prompt.Config{Tokens: 4, Begin: promptlearning.Start{Init: promptlearning.Random}},
	"ptuning":   prompt.Config{Tokens: 4, PTuning: true, Hidden: 24},
	"prefix":    prefix.Config{Tokens: 4},
	"projected": prefix.Config{Tokens: 4, Projection: true, Hidden: 24},
}

// promptFixture is what PEFT computed for one family.
type promptFixture struct {
	*fixture
	Methods map[string]course             `json:"methods"`
	Padded  map[string]map[string]float64 `json:"padded"`
	Answers map[string][]struct {
		Prompt, Tokens []int32
		Gap            float64
	} `json:"answers"`
}

func readPrompts(t *testing.T, family string) *promptFixture {
	t.Helper()
	f := &promptFixture{fixture: read(t, family)}
	raw, err := os.ReadFile(filepath.Join(f.dir, "prompts.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, f))
	f.tensors, err = method.ReadTensors(filepath.Join(f.dir, "prompts.safetensors"))
	require.NoError(t, err)
	return f
}

// eachPrompt runs a test for every method of every family that has it.
func eachPrompt(t *testing.T, test func(t *testing.T, f *promptFixture, name string)) {
	t.Helper()
	ran := 0
	for _, family := range families {
		f := readPrompts(t, family)
		for _, name := range slices.Sorted(maps.Keys(f.Methods)) {
			ran++
			t.Run(family+"/"+name, func(t *testing.T) { test(t, f, name) })
		}
	}
	require.Equal(t, 16, ran)
}

// prompted is rows in one micro-batch, as a method has them.
func (f *promptFixture) prompted(name string, rows []int) []data.MicroBatch {
	k := 0
	if name == "prompt" || name == "ptuning" {
		k = 4
	}
	var all []data.Row
	for _, i := range rows {
		all = append(all, f.row(i))
	}
	return []data.MicroBatch{data.FlattenPrompted(all, k)}
}

// values are PEFT's, by our names: "initial", "gradient" or "final".
func (f *promptFixture) values(name, when string) map[string][]float32 {
	all := map[string][]float32{}
	for n, v := range f.tensors {
		if p, ok := strings.CutPrefix(n, name+"."+when+"."); ok {
			all[p] = v
		}
	}
	return all
}

// start gives an engine at PEFT's first values.
func (f *promptFixture) start(t *testing.T, k kind, name string) *train.Engine {
	t.Helper()
	s := setting{config: f.config(t), source: f.checkpoint(t), method: prompts[name], hyper: hyper}
	for _, step := range f.Methods[name].Steps {
		s.buckets = append(s.buckets, f.prompted(name, step.Rows))
	}
	s.buckets = append(s.buckets, f.prompted(name, []int{0, 1, 2, 3, 4, 5}))
	e := open(t, k, s)
	first := f.values(name, "initial")
	require.Len(t, first, len(e.Model.Params.Trainable()))
	require.NoError(t, e.SetValues(first))
	return e
}

// TestPromptSteps: the gradients of the first step, and twenty steps of AdamW
// over packed rows, each with a prompt of its own, against PEFT's rows alone.
func TestPromptSteps(t *testing.T) {
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		course := f.Methods[name]
		schedule, err := optim.NewSchedule(course.Schedule, peakLR, course.Warmup, 0, len(course.Steps))
		require.NoError(t, err)
		for _, k := range []kind{exact, single} {
			e := f.start(t, k, name)
			for i, want := range course.Steps {
				got, err := e.Step(i, schedule.At(i), f.prompted(name, want.Rows))
				require.NoError(t, err)
				assert.InEpsilon(t, want.Loss, got.Loss, close, "%s: loss of step %d", k.name, i)
				assert.InEpsilon(t, want.GradNorm, got.GradNorm, close, "%s: gradient norm of step %d", k.name, i)
				if i > 0 {
					continue
				}
				grads := trained(t, e, gradient)
				for p, g := range f.values(name, "gradient") {
					assert.Less(t, distance(g, grads[p]), close, "%s: gradient of %s", k.name, p)
				}
			}
			var want []float32
			var got []float64
			final := trained(t, e, weight)
			for p, v := range f.values(name, "final") {
				want, got = append(want, v...), append(got, final[p]...)
			}
			assert.Less(t, distance(want, got), 4*close, k.name)
			assert.Less(t, largest(want, got), 0.05*peakLR*float64(len(course.Steps)), k.name)
		}
	})
}

// TestPromptPadding: all rows packed have the loss of PEFT's padded batch. On
// the left PEFT needs the places of each row given; what it does by itself is
// another loss. With a window transformers counts padding as part of it.
func TestPromptPadding(t *testing.T) {
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		for i := range f.Rows {
			f.Rows[i].Labels[0] = data.Masked
		}
		e := f.start(t, single, name)
		batches := f.prompted(name, []int{0, 1, 2, 3, 4, 5})
		got, err := e.Evaluate(batches)
		require.NoError(t, err)
		assert.InEpsilon(t, f.Padded[name]["right"], got.Loss, close)
		if windowed := f.config(t).Windows; slices.Max(windowed) > 0 {
			return
		}
		assert.InEpsilon(t, f.Padded[name]["left"], got.Loss, close)
		if theirs, ok := f.Padded[name]["left as PEFT"]; ok {
			assert.Greater(t, math.Abs(theirs/got.Loss-1), 10*close)
		}
	})
}

// TestPromptDirectories reads what PEFT wrote and writes it again: the same
// logits, the same file, the same keys.
func TestPromptDirectories(t *testing.T) {
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		theirs := f.adapter(name, "final")
		how, err := registry.Read(theirs)
		require.NoError(t, err)
		for _, k := range []kind{exact, single} {
			s := setting{config: f.config(t), source: f.checkpoint(t), method: how, adapter: theirs}
			assert.Less(t, distance(f.tensor(t, name+".logits"), logits(t, k, s, f.row(2))), close, k.name)
		}
		m := model.New(f.config(t))
		require.NoError(t, how.Attach(m, 7))
		values, err := how.Load(theirs, m)
		require.NoError(t, err)
		ours := save(t, how, m, values)
		file := func(dir, name string) []byte {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			return raw
		}
		assert.Equal(t, file(theirs, method.WeightsFile), file(ours, method.WeightsFile))
		var want, got map[string]any
		require.NoError(t, json.Unmarshal(file(theirs, method.ConfigFile), &want))
		require.NoError(t, json.Unmarshal(file(ours, method.ConfigFile), &got))
		for _, key := range []string{"peft_version", "encoder_hidden_size", "prefix_projection"} { // of a network that is not in the directory
			delete(want, key)
			delete(got, key)
		}
		assert.Equal(t, want, got)
	})
}

func save(t *testing.T, how method.Method, m *model.Model, values map[string][]float32) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "adapter")
	require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
		return how.Save(d, m, func(p string) ([]float32, error) {
			require.Contains(t, values, p)
			return values[p], nil
		})
	}))
	return dir
}

// TestEncodersAreWrittenAsWhatTheyGive: PEFT's trained networks come out as the
// vectors that PEFT wrote.
func TestEncodersAreWrittenAsWhatTheyGive(t *testing.T) {
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		m := model.New(f.config(t))
		require.NoError(t, prompts[name].Attach(m, 7))
		read := func(dir string) []float32 {
			all, err := method.ReadTensors(filepath.Join(dir, method.WeightsFile))
			require.NoError(t, err)
			require.Len(t, all, 1)
			return all["prompt_embeddings"]
		}
		ours := save(t, prompts[name], m, f.values(name, "final"))
		assert.Less(t, distance(read(f.adapter(name, "final")), read(ours)), 1e-6)
	})
}

// TestPromptAnswers: the cache gives the greedy tokens of the whole forward
// pass, with several places in use, where the best two logits are apart.
func TestPromptAnswers(t *testing.T) {
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		dir := f.adapter(name, "final")
		how, err := registry.Read(dir)
		require.NoError(t, err)
		m := model.New(f.config(t))
		require.NoError(t, how.Attach(m, 7))
		values, err := how.Load(dir, m)
		require.NoError(t, err)
		g, err := generate.Open(context.Background(), single.open(), generate.Options{
			Model: m, Types: single.types, MaxTokens: 40, Sequences: 2, Chunk: 4, Source: f.checkpoint(t), Adapter: values,
		})
		require.NoError(t, err)
		defer g.Close()
		assert.Equal(t, 36, g.Context())
		var asked [][]int32
		for _, a := range f.Answers[name] {
			asked = append(asked, a.Prompt)
		}
		out, err := g.Generate(context.Background(), asked, generate.Params{MaxNewTokens: 12}, nil)
		require.NoError(t, err)
		compared := 0
		for i, a := range f.Answers[name] {
			if a.Gap > 1e-3 {
				compared++
				assert.Equal(t, a.Tokens, out[i].Tokens, "answer %d", i)
			}
		}
		assert.NotZero(t, compared)
		assert.Equal(t, g.Planned().Plan, g.Used())
	})
}

// TestBrokenPromptsAreNoticed: the loss of the first step leaves its gate.
func TestBrokenPromptsAreNoticed(t *testing.T) {
	broken := map[string]func(m *data.MicroBatch){
		"nothing": func(*data.MicroBatch) {},
		"positions that begin after the prompt": func(m *data.MicroBatch) {
			for s := range len(m.Cu) - 1 {
				for i := m.Cu[s] + int32(m.Prompt); i < m.Cu[s+1]; i++ {
					m.Positions[i] -= 4
				}
			}
		},
		"a prompt that the row before it sees": func(m *data.MicroBatch) { m.Cu[1] += int32(m.Prompt) },
		"rows that see each other":             func(m *data.MicroBatch) { m.Cu[1] = 0 },
		"one prompt for all rows": func(m *data.MicroBatch) {
			for i := m.Prompt; i < len(m.Virtual); i++ {
				m.Virtual[i] = m.Virtual[i%m.Prompt] // the others keep their stand-in
			}
		},
	}
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		step := f.Methods[name].Steps[0]
		for what, change := range broken {
			b := f.prompted(name, step.Rows)
			if b[0].Prompt == 0 && (strings.Contains(what, "prompt that") || strings.Contains(what, "one prompt")) {
				continue
			}
			change(&b[0])
			got, err := f.start(t, exact, name).Step(0, 0, b)
			require.NoError(t, err)
			off := max(got.Loss/step.Loss, step.Loss/got.Loss) - 1
			assert.Equal(t, what != "nothing", off > close, "%s: %g", what, off)
		}
	})
}

// TestPEFTLoadsPrompts trains from our own first values, writes the directory,
// and has PEFT compute the same logits. It needs -python, as TestPEFTLoads.
func TestPEFTLoadsPrompts(t *testing.T) {
	needsPython(t)
	eachPrompt(t, func(t *testing.T, f *promptFixture, name string) {
		s := setting{config: f.config(t), source: f.checkpoint(t), method: prompts[name], hyper: hyper}
		for _, step := range f.Methods[name].Steps {
			s.buckets = append(s.buckets, f.prompted(name, step.Rows))
		}
		e := open(t, single, s)
		for i, step := range f.Methods[name].Steps {
			_, err := e.Step(i, 10*peakLR, f.prompted(name, step.Rows))
			require.NoError(t, err)
		}
		s.adapter = filepath.Join(t.TempDir(), "adapter")
		require.NoError(t, atomicfs.WriteDir(s.adapter, func(d *atomicfs.Dir) error { return s.method.Save(d, e.Model, e.Values) }))
		how, err := registry.Read(s.adapter)
		require.NoError(t, err)
		s.method = how
		f.same(t, request{Base: f.dir, Adapter: s.adapter}, s, read(t, filepath.Base(f.dir)).tensor(t, "logits.0"))
	})
}

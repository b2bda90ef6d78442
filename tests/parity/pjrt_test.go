package parity_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plugin opens what GRAFT_PJRT_PLUGIN names (make test-pjrt), and at the end
// expects every buffer to be freed.
func plugin(t *testing.T) kind {
	t.Helper()
	path := os.Getenv("GRAFT_PJRT_PLUGIN")
	if path == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	backend, err := pjrt.Open(pjrt.Options{Plugin: path})
	require.NoError(t, err)
	t.Cleanup(func() { assert.Zero(t, pjrt.Live(), "every buffer is freed") })
	return kind{"pjrt float32", func() bindings.Backend { return backend }, nn.Float32}
}

// training is twenty steps of a method. Losses and gradient norms are PEFT's,
// within a factor of close; without them the native CPU alone is compared with.
type training struct {
	name string
	setting
	values  map[string][]float32 // first ones, where no adapter directory has them
	steps   []trainingStep
	within  float64
	answers bool // it is a language model, which generates
}

type trainingStep struct {
	lr, loss, gradNorm float64
	batch              data.MicroBatch
}

// trainings is every method, each with one bucket for all of its steps, so that
// three programs serve them.
func trainings(t *testing.T) (all []training) {
	add := func(name string, s setting, c course, batch func(rows []int) []data.MicroBatch) *training {
		x := training{name: name, setting: s, within: 1, answers: !strings.HasPrefix(name, "head")}
		for _, step := range c.Steps {
			x.steps = append(x.steps, trainingStep{step.LR, step.Loss, step.GradNorm, batch(step.Rows)[0]})
		}
		x.fill()
		all = append(all, x)
		return &all[len(all)-1]
	}
	llama, qwen := read(t, "llama"), read(t, "qwen3")
	fullSetting := func() setting { return llama.setting(t, "full") }
	add("full", fullSetting(), llama.Methods["full"], llama.packed)
	add("lora on qwen3", qwen.setting(t, "all-linear"), qwen.Methods["all-linear"], qwen.packed)
	for _, family := range []string{"llama", "llama-tied"} {
		f := readVariants(t, family)
		for _, name := range variants[family] {
			add(name+" on "+family, f.variant(t, name), f.Methods[name], f.packed).within = 2 // as TestVariantSteps
		}
	}
	q := read(t, "qlora")
	add("qlora", q.qlora(t, q.quantized(t, "nf4"), model.QuantAuto), q.Methods["f32"], q.packed)
	for name := range prompts {
		f := readPrompts(t, "llama")
		add(name, setting{config: f.config(t), source: f.checkpoint(t), method: prompts[name], hyper: hyper},
			f.Methods[name], func(rows []int) []data.MicroBatch { return f.prompted(name, rows) }).values = f.values(name, "initial")
	}
	for _, name := range heads {
		f := readHead(t, name)
		s, values := f.setting(t)
		x := add("head "+name, s, f.course, func(rows []int) []data.MicroBatch { return []data.MicroBatch{data.Flatten(f.rows(rows))} })
		x.values = values
	}
	// What PEFT has no fixture for.
	for name, change := range map[string]func(*setting){
		"full, state in eight bits": func(s *setting) { s.eightBit = true },
		"lora, dropout and checkpointing": func(s *setting) {
			s.method, s.recompute = lora.Config{R: 4, Alpha: 8, Dropout: 0.2, Targets: []string{"all-linear"}}, true
		},
		"full, embeddings frozen, checkpointing": func(s *setting) {
			s.method, s.recompute = full.Config{Freeze: []string{"embed_tokens"}}, true
		},
	} {
		s := fullSetting()
		change(&s)
		x := add(name, s, llama.Methods["full"], llama.packed)
		for i := range x.steps {
			x.steps[i].loss = 0
		}
	}
	return all
}

// fill brings all steps to one bucket.
func (x *training) fill() {
	var most data.Bucket
	for _, s := range x.steps {
		most.Tokens = max(most.Tokens, len(s.batch.IDs)+1)
		most.Sequences = max(most.Sequences, len(s.batch.Cu))
		most.Targets = max(most.Targets, len(s.batch.Rows))
	}
	if !x.answers { // a target for each sequence
		most.Targets = most.Sequences
	}
	for i := range x.steps {
		x.steps[i].batch = x.steps[i].batch.Fill(most)
	}
	x.buckets = [][]data.MicroBatch{{x.steps[0].batch}}
}

// TestPJRTMethods trains every method on a plugin: losses and gradient norms
// are those of the native CPU and of PEFT, and so are the outputs and the
// tokens of what was trained.
func TestPJRTMethods(t *testing.T) {
	device := plugin(t)
	t.Run("methods", func(t *testing.T) {
		for _, x := range trainings(t) {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				x.run(t, device)
			})
		}
	})
}

func (x training) run(t *testing.T, device kind) {
	begin := func(k kind) *train.Engine {
		e := open(t, k, x.setting)
		require.NoError(t, e.SetValues(x.values))
		return e
	}
	traced, run := begin(device), begin(single)
	for i, s := range x.steps {
		got, err := traced.Step(i, s.lr, []data.MicroBatch{s.batch})
		require.NoError(t, err)
		native, err := run.Step(i, s.lr, []data.MicroBatch{s.batch})
		require.NoError(t, err)
		assert.InEpsilon(t, native.Loss, got.Loss, close, "loss of step %d beside the native one", i)
		assert.InEpsilon(t, native.GradNorm, got.GradNorm, 5*close, "gradient norm of step %d beside the native one", i)
		assert.Equal(t, native.Accuracy, got.Accuracy, "accuracy of step %d", i)
		if s.loss != 0 {
			assert.InEpsilon(t, s.loss, got.Loss, x.within*close, "loss of step %d beside PEFT", i)
			assert.InEpsilon(t, s.gradNorm, got.GradNorm, 5*close, "gradient norm of step %d beside PEFT", i)
		}
	}
	evaluate := func(e *train.Engine) (train.Report, []float32) {
		var c collect
		if e.Model.Outputs == 0 {
			r, err := e.Evaluate(x.buckets[0])
			require.NoError(t, err)
			return r, nil
		}
		r, err := e.EvaluateBy(t.Context(), &c, x.buckets[0])
		require.NoError(t, err)
		return r, c.logits
	}
	want, outputs := evaluate(run)
	got, had := evaluate(traced)
	assert.InEpsilon(t, want.Loss, got.Loss, close, "evaluation")
	if x.answers {
		values := map[string][]float32{}
		for p, v := range trained(t, traced, weight) {
			for _, n := range v {
				values[p] = append(values[p], float32(n))
			}
		}
		assert.Equal(t, x.generate(t, single, values), x.generate(t, device, values), "answers")
	} else {
		assert.Less(t, distance(outputs, had), 5*close, "outputs")
	}
	if c, ok := traced.Device().(bindings.Compiler); ok {
		for _, p := range c.Compiled() {
			assert.Less(t, p.Arguments-p.Aliased, traced.Planned().Total(), "%s: what is trained is donated", p.Name)
		}
	}
	require.NoError(t, traced.Close())
}

// generate is what the trained model answers.
func (x training) generate(t *testing.T, k kind, values map[string][]float32) []generate.Completion {
	m := model.New(x.config)
	require.NoError(t, x.method.Attach(m, 7))
	x.quantize(t, m)
	g, err := generate.Open(context.Background(), k.open(), generate.Options{
		Model: m, Types: k.types, MaxTokens: 32, Sequences: 2, Chunk: 4, Source: x.source, Adapter: values,
	})
	require.NoError(t, err)
	defer g.Close()
	var all []generate.Completion
	for _, p := range []generate.Params{{MaxNewTokens: 5}, {MaxNewTokens: 5, Temperature: 1, TopK: 20, TopP: 0.9, Seed: 5}} {
		out, err := g.Generate(context.Background(), [][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}, p, nil)
		require.NoError(t, err)
		all = append(all, out...)
	}
	return all
}

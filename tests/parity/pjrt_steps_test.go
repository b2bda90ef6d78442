package parity_test

import (
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPJRTThousandSteps: a thousand steps of full fine-tuning hold as many
// buffers as the hundredth, and the process has not grown by a tenth of what
// keeping the state of each step would take.
func TestPJRTThousandSteps(t *testing.T) {
	device := plugin(t)
	f := read(t, "llama")
	x := training{setting: f.setting(t, "full"), answers: true}
	for _, step := range f.Methods["full"].Steps {
		x.steps = append(x.steps, trainingStep{lr: step.LR, batch: f.packed(step.Rows)[0]})
	}
	x.fill()
	e := open(t, device, x.setting)
	live, before := 0, int64(0)
	const steps, from = 1000, 100
	for i := range steps {
		s := x.steps[i%len(x.steps)]
		_, err := e.Step(i, 1e-4, []data.MicroBatch{s.batch})
		require.NoError(t, err)
		if i == from-1 {
			live, before = pjrt.Live(), bounded.Resident(t)
		}
	}
	assert.Equal(t, live, pjrt.Live())
	state := e.Planned()[bindings.Trainable]
	require.Greater(t, state, int64(1<<18), "else the bound is within the noise of a process")
	assert.Less(t, bounded.Resident(t)-before, (steps-from)*state/10)
	require.NoError(t, e.Close())
}

// TestPJRTPlan: what the compiler says of its programs beside what the plan
// knows. A program is given no more than what lies in memory; the micro-step is
// given the frozen and the trained weights; the update gives back in place all
// that is trained.
func TestPJRTPlan(t *testing.T) {
	backend := plugin(t).open()
	f := read(t, "llama")
	m := model.New(f.config(t))
	s := f.setting(t, "all-linear")
	require.NoError(t, s.method.Attach(m, 7))
	batch := f.packed(f.Methods["all-linear"].Steps[0].Rows)[0]
	bucket := nn.Bucket{Tokens: len(batch.IDs), Sequences: len(batch.Cu) - 1, Targets: len(batch.Rows)}
	job := plan.Job{Model: m, Types: nn.Float32, Profile: backend.Profile(), Train: []nn.Bucket{bucket}, Eval: []nn.Bucket{bucket}, Hyper: hyper}
	counted, err := job.Count()
	require.NoError(t, err)
	compiled, err := job.Compile(backend)
	require.NoError(t, err)
	all := map[string]bindings.Compiled{}
	for _, c := range compiled {
		all[c.Name] = c
		assert.LessOrEqual(t, c.Arguments, counted.Bytes.Total(), c.Name)
		assert.LessOrEqual(t, c.Aliased, c.Results, c.Name)
	}
	require.Contains(t, all, "micro")
	require.Contains(t, all, "update")
	require.Contains(t, all, "loss")
	var frozen, trained int64
	for _, p := range m.Params.All {
		if p.Trainable {
			trained += 4 * int64(p.Len())
		} else {
			frozen += 4 * int64(p.Len())
		}
	}
	assert.GreaterOrEqual(t, all["micro"].Arguments, frozen+trained)
	assert.Positive(t, all["micro"].Temporary)
	assert.GreaterOrEqual(t, all["update"].Aliased, 3*trained, "values and both moments")
	assert.Less(t, all["update"].Arguments, frozen, "the update reads no frozen weight")
}

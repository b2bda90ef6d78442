package parity_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/head"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var heads = []string{"llama-frozen", "llama-lora", "bert-frozen", "bert-lora", "bert-mean"}

// headFixture is a case of make_head.py.
type headFixture struct {
	dir     string
	Base    string    `json:"base"`
	Task    data.Task `json:"problem_type"`
	Classes int       `json:"classes"`
	Pooling string    `json:"pooling"`
	Adapter *struct {
		R       int      `json:"r"`
		Alpha   float64  `json:"lora_alpha"`
		Targets []string `json:"target_modules"`
	} `json:"adapter"`
	course
	Rows   [][]int32   `json:"rows"`
	Labels [][]float32 `json:"labels"`

	tensors map[string][]float32
}

func readHead(t *testing.T, name string) *headFixture {
	t.Helper()
	f := &headFixture{dir: filepath.Join("testdata", "head", name)}
	raw, err := os.ReadFile(filepath.Join(f.dir, "fixture.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, f))
	f.tensors, err = method.ReadTensors(filepath.Join(f.dir, "fixture.safetensors"))
	require.NoError(t, err)
	return f
}

// method is the head of the fixture.
func (f *headFixture) method() head.Config {
	c := head.Config{Labels: data.Labels{Task: f.Task}, Pooling: f.Pooling, Dir: "tiny-" + f.Base}
	for i := range f.Classes {
		c.Labels.Names = append(c.Labels.Names, string(rune('a'+i)))
	}
	if f.Adapter != nil {
		c.Beneath = lora.Config{R: f.Adapter.R, Alpha: f.Adapter.Alpha, Targets: f.Adapter.Targets, BaseModel: c.Dir}
	}
	return c
}

func (f *headFixture) rows(which []int) (rows []data.Row) {
	for _, i := range which {
		r := data.Row{IDs: f.Rows[i], Labelled: true}
		if f.Task == data.SingleLabel {
			r.Class = int32(f.Labels[i][0])
		} else {
			r.Values = f.Labels[i]
		}
		rows = append(rows, r)
	}
	return rows
}

// packed is rows in one micro-batch, which is filled to a larger bucket.
func (f *headFixture) packed(which []int) []data.MicroBatch {
	m := data.Flatten(f.rows(which))
	n := len(which) + 2
	return []data.MicroBatch{m.Fill(data.Bucket{Tokens: len(m.IDs) + 7, Sequences: n, Targets: n})}
}

func (f *headFixture) all() []int {
	all := make([]int, len(f.Rows))
	for i := range all {
		all[i] = i
	}
	return all
}

// setting is that of the fixture, with the first values of what is trained.
func (f *headFixture) setting(t *testing.T) (setting, map[string][]float32) {
	t.Helper()
	h, err := hub.Open(filepath.Join("testdata", "head", f.Base))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	c, err := model.ParseConfig("config.json", h.Config.Bytes())
	require.NoError(t, err)
	values := map[string][]float32{}
	for name, v := range f.tensors {
		if p, ok := strings.CutPrefix(name, "initial."); ok {
			values[p] = v
		}
	}
	return setting{config: c, source: h, method: f.method(), hyper: hyper}, values
}

func (f *headFixture) open(t *testing.T, k kind) *train.Engine {
	t.Helper()
	s, values := f.setting(t)
	s.buckets = [][]data.MicroBatch{f.packed(f.all())}
	for _, step := range f.Steps {
		s.buckets = append(s.buckets, f.packed(step.Rows))
	}
	e := open(t, k, s)
	for _, p := range e.Model.Params.Trainable() {
		require.Contains(t, values, p.Name)
	}
	require.NoError(t, e.SetValues(values))
	return e
}

// collect keeps the outputs of an evaluation.
type collect struct{ logits []float32 }

func (c *collect) Add(b data.MicroBatch, out []float32) {
	n := 0
	for _, w := range b.Weights {
		n += int(w)
	}
	c.logits = append(c.logits, out[:n*len(out)/(len(b.Cu)-1)]...)
}

func (c *collect) Result() (map[string]float64, any) { return nil, nil }

// TestHeadLogits: what transformers' …ForSequenceClassification, and PEFT on
// it, give for each row.
func TestHeadLogits(t *testing.T) {
	for _, name := range heads {
		t.Run(name, func(t *testing.T) {
			f := readHead(t, name)
			var c collect
			_, err := f.open(t, single).EvaluateBy(t.Context(), &c, f.packed(f.all()))
			require.NoError(t, err)
			assert.Less(t, distance(f.tensors["logits"], c.logits), close)
		})
	}
}

// TestHeadSteps follows twenty steps of AdamW: the gradients of the first, and
// the losses and gradient norms of all.
func TestHeadSteps(t *testing.T) {
	for _, name := range heads {
		t.Run(name, func(t *testing.T) {
			f := readHead(t, name)
			distances := map[string]float64{}
			for _, k := range []kind{exact, single} {
				e := f.open(t, k)
				for i, want := range f.Steps {
					got, err := e.Step(i, want.LR, f.packed(want.Rows))
					require.NoError(t, err)
					if i == 0 {
						for p, g := range trained(t, e, gradient) {
							assert.Less(t, distance(f.tensors["gradient."+p], g), close, "%s: gradient of %s", k.name, p)
						}
					}
					assert.InEpsilon(t, want.Loss, got.Loss, close, "%s: loss of step %d", k.name, i)
					assert.InEpsilon(t, want.GradNorm, got.GradNorm, close, "%s: gradient norm of step %d", k.name, i)
				}
				var want []float32
				var got []float64
				for p, v := range trained(t, e, weight) {
					want, got = append(want, f.tensors["final."+p]...), append(got, v...)
				}
				distances[k.name] = distance(want, got)
			}
			assert.Less(t, distances[exact.name], close)
			assert.Less(t, distances[single.name], 4*max(distances[exact.name], 1e-7))
			t.Logf("parameters: %v", distances)
		})
	}
}

// TestHeadStepIsNoticed: the comparison fails for a head that pools otherwise.
func TestHeadStepIsNoticed(t *testing.T) {
	f := readHead(t, "bert-mean")
	f.Pooling = "max"
	got, err := f.open(t, single).Step(0, f.Steps[0].LR, f.packed(f.Steps[0].Rows))
	require.NoError(t, err)
	assert.Greater(t, math.Abs(got.Loss/f.Steps[0].Loss-1), 100*close)
}

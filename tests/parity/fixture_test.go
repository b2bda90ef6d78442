package parity_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/require"
)

var (
	families = []string{"llama", "llama-tied", "mistral", "qwen2", "qwen3"}
	adapters = []string{"qv", "all-linear", "rslora", "patterns"}
	methods  = append([]string{"full"}, adapters...)
)

// fixture is what PyTorch computed for one family.
type fixture struct {
	dir string

	Rows []struct {
		IDs    []int32 `json:"ids"`
		Labels []int32 `json:"labels"`
	} `json:"rows"`
	Losses []struct {
		Sum   float64 `json:"sum"`
		Count int     `json:"count"`
	} `json:"losses"`
	Methods map[string]course          `json:"methods"`
	Ropes   map[string]json.RawMessage `json:"ropes"`
	Decoded map[string]string          `json:"decoded"` // SHA-256

	tensors map[string][]float32
}

// course is a training of twenty steps.
type course struct {
	Schedule string `json:"schedule"`
	Warmup   int    `json:"warmup"`
	Steps    []struct {
		Rows     []int   `json:"rows"`
		LR       float64 `json:"lr"`
		Loss     float64 `json:"loss"`
		GradNorm float64 `json:"grad_norm"`
	} `json:"steps"`
}

// peakLR is that of make_fixtures.py.
const peakLR = 1e-3

func read(t *testing.T, family string) *fixture {
	t.Helper()
	f := &fixture{dir: filepath.Join("testdata", family)}
	raw, err := os.ReadFile(filepath.Join(f.dir, "fixture.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, f))
	f.tensors, err = method.ReadTensors(filepath.Join(f.dir, "fixture.safetensors"))
	require.NoError(t, err)
	return f
}

// tensor is one that has to be there.
func (f *fixture) tensor(t *testing.T, name string) []float32 {
	t.Helper()
	require.Contains(t, f.tensors, name)
	return f.tensors[name]
}

// row is a row as training data.
func (f *fixture) row(i int) data.Row {
	return data.Row{IDs: f.Rows[i].IDs, Labels: f.Rows[i].Labels}
}

// packed is rows in one micro-batch, apart is a micro-batch each.
func (f *fixture) packed(rows []int) []data.MicroBatch {
	var all []data.Row
	for _, i := range rows {
		all = append(all, f.row(i))
	}
	return []data.MicroBatch{data.Flatten(all)}
}

func (f *fixture) apart(rows []int) (all []data.MicroBatch) {
	for _, i := range rows {
		all = append(all, data.Flatten([]data.Row{f.row(i)}))
	}
	return all
}

// checkpoint opens the base as a user's command would.
func (f *fixture) checkpoint(t *testing.T) *hub.Model {
	t.Helper()
	h, err := hub.Open(f.dir)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// config is that of the base.
func (f *fixture) config(t *testing.T) model.Config {
	t.Helper()
	path := filepath.Join(f.dir, "config.json")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	c, err := model.ParseConfig(path, raw)
	require.NoError(t, err)
	return c
}

// adapter is where PEFT wrote an adapter: "initial" or "final".
func (f *fixture) adapter(name, when string) string { return filepath.Join(f.dir, name, when) }

// method gives the settings of a method; those of an adapter are read from the
// directory that PEFT wrote.
func (f *fixture) method(t *testing.T, name string) method.Method {
	t.Helper()
	if name == "full" {
		return full.Config{}
	}
	c, err := lora.Read(f.adapter(name, "initial"))
	require.NoError(t, err)
	return c
}

// distance is the L2 norm of got − want over that of want.
func distance[A, B float32 | float64](want []A, got []B) float64 {
	if len(want) != len(got) || len(want) == 0 {
		return math.Inf(1)
	}
	var d, n float64
	for i, w := range want {
		d += (float64(got[i]) - float64(w)) * (float64(got[i]) - float64(w))
		n += float64(w) * float64(w)
	}
	return math.Sqrt(d / n)
}

package parity_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/graftlm/graft/go/adapter"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var python = flag.String("python", "", "a Python that has PEFT, to load what graft writes")

// request is what load.py is asked.
type request struct {
	Base    string    `json:"base"`
	NF4     bool      `json:"nf4"`
	Adapter string    `json:"adapter"`
	Labels  int       `json:"labels"`
	Problem string    `json:"problem"`
	Rows    [][]int32 `json:"rows"`
	Out     string    `json:"out"`
}

// peer is load.py, running.
type peer struct {
	in  io.Writer
	out *bufio.Reader
}

// theirs starts one Python for all tests, for it takes seconds to begin. It
// ends when its input does.
var theirs = sync.OnceValues(func() (*peer, error) {
	c := exec.Command(*python, "load.py")
	c.Stderr = os.Stderr
	in, err1 := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	return &peer{in, bufio.NewReader(out)}, errors.Join(err1, err2, c.Start())
})

// load gives the logits that transformers and PEFT compute for each row.
func load(t *testing.T, r request) (all [][]float32) {
	t.Helper()
	p, err := theirs()
	require.NoError(t, err)
	r.Out = filepath.Join(t.TempDir(), "logits.safetensors")
	require.NoError(t, json.NewEncoder(p.in).Encode(r))
	said, err := p.out.ReadString('\n')
	require.NoError(t, err)
	var problem string
	if said != "\n" {
		require.NoError(t, json.Unmarshal([]byte(said), &problem), said)
		require.Fail(t, "load.py", problem)
	}
	tensors, err := method.ReadTensors(r.Out)
	require.NoError(t, err)
	for i := range r.Rows {
		all = append(all, tensors[strconv.Itoa(i)])
	}
	return all
}

func needsPython(t *testing.T) {
	t.Helper()
	if *python == "" {
		t.Skip("no -python; make parity gives one")
	}
}

// same loads what graft wrote with transformers and PEFT and compares the
// logits of every row with those of a setting. What was written changes the
// base: before are its logits of the first row.
func (f *fixture) same(t *testing.T, r request, s setting, before []float32) {
	t.Helper()
	for i := range f.Rows {
		r.Rows = append(r.Rows, f.row(i).IDs)
	}
	worst := 0.0
	for i, want := range load(t, r) {
		if i == 0 {
			require.Greater(t, distance(before, want), 100*close, "what was written changes nothing")
		}
		worst = max(worst, distance(want, logits(t, single, s, f.row(i))))
	}
	assert.Less(t, worst, close)
	t.Logf("logits: %.2g", worst)
}

// written trains by the steps of a course, with a rate that moves even what
// begins at zero, and writes what was trained.
func (f *fixture) written(t *testing.T, s setting, c course) string {
	t.Helper()
	e := open(t, single, s)
	for i, step := range c.Steps {
		_, err := e.Step(i, 10*peakLR, f.packed(step.Rows))
		require.NoError(t, err)
	}
	dir := filepath.Join(t.TempDir(), "written")
	require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error { return s.method.Save(d, e.Model, e.Values) }))
	return dir
}

// TestPEFTLoads trains an adapter from our own first values, writes it, and
// has PEFT compute the same logits. Without -python it does not run: the same
// directory is compared with PEFT's, file by file, in TestAdapterDirectory.
func TestPEFTLoads(t *testing.T) {
	needsPython(t)
	for _, family := range families {
		for _, name := range append(adapters[:len(adapters):len(adapters)], variants[family]...) {
			if name == "frozen" {
				continue // a whole checkpoint: TestTransformersLoads
			}
			t.Run(family+"/"+name, func(t *testing.T) {
				f := read(t, family)
				before := f.tensor(t, "logits.0")
				var s setting
				if c, ok := settings[name]; ok {
					s = f.setting(t, name)
					s.method, s.adapter = c, ""
				} else {
					f = readVariants(t, family)
					s = f.variant(t, name)
				}
				s.adapter = f.written(t, s, f.Methods[name])
				read, err := lora.Read(s.adapter)
				require.NoError(t, err)
				s.method = read // PiSSA writes a plain adapter
				f.same(t, request{Base: f.dir, Adapter: s.adapter}, s, before)
			})
		}
	}
}

// TestPEFTLoadsChoices: what decides which layers are adapted means the same to
// PEFT.
func TestPEFTLoadsChoices(t *testing.T) {
	needsPython(t)
	f := read(t, "llama")
	for name, c := range map[string]lora.Config{
		"expression": {R: 2, Alpha: 4, Targets: []string{`.*layers\.1\..*(q|up)_proj`}, Regex: true},
		"exclude":    {R: 2, Alpha: 4, Targets: []string{"all-linear"}, Exclude: []string{"k_proj", "layers.0.mlp.up_proj"}},
		"layers":     {R: 2, Alpha: 4, Targets: []string{"v_proj"}, Layers: []int{1}},
		"gaussian":   {R: 2, Alpha: 4, Targets: []string{"o_proj"}, Init: "gaussian"},
	} {
		t.Run(name, func(t *testing.T) {
			s := f.setting(t, "qv")
			s.method, s.adapter = c, ""
			s.adapter = f.written(t, s, f.Methods["qv"])
			f.same(t, request{Base: f.dir, Adapter: s.adapter}, s, f.tensor(t, "logits.0"))
		})
	}
}

// TestTransformersLoads: whole checkpoints, of full fine-tuning with all or
// some layers, and of a merge.
func TestTransformersLoads(t *testing.T) {
	needsPython(t)
	loads := func(t *testing.T, f *fixture, dir string) {
		h, err := hub.Open(dir)
		require.NoError(t, err)
		defer h.Close()
		f.same(t, request{Base: dir}, setting{config: f.config(t), source: h}, f.tensor(t, "logits.0"))
	}
	for _, family := range families {
		for name, c := range map[string]full.Config{"full": {}, "frozen": {Freeze: []string{"embed_tokens", "layers.0"}}} {
			t.Run(family+"/"+name, func(t *testing.T) {
				f := read(t, family)
				s := f.setting(t, "full")
				s.method = c
				dir := f.written(t, s, f.Methods["full"])
				raw, err := os.ReadFile(filepath.Join(f.dir, "config.json"))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644))
				loads(t, f, dir)
			})
		}
		if name := merged[family]; name != "" {
			t.Run(family+"/merged "+name, func(t *testing.T) {
				f := read(t, family)
				m, how := model.New(f.config(t)), f.method(t, name)
				require.NoError(t, how.Attach(m, 7))
				values, err := how.Load(f.adapter(name, "final"), m)
				require.NoError(t, err)
				dir := filepath.Join(t.TempDir(), "merged")
				require.NoError(t, export.Merge(context.Background(), nil, f.checkpoint(t), m, values, dir, nil))
				loads(t, f, dir)
			})
		}
	}
}

// TestBitsandbytesLoads: QLoRA. PEFT puts the adapter on a base that
// bitsandbytes quantises, and on one that graft has quantised ahead.
func TestBitsandbytesLoads(t *testing.T) {
	needsPython(t)
	f := read(t, "qlora")
	ahead := filepath.Join(t.TempDir(), "nf4")
	require.NoError(t, export.Quantize(context.Background(), nil, f.checkpoint(t), model.New(f.config(t)), true, ahead, nil))
	h, err := hub.Open(ahead)
	require.NoError(t, err)
	defer h.Close()
	dense := logits(t, single, setting{config: f.config(t), source: f.checkpoint(t)}, f.row(0))
	before := make([]float32, len(dense))
	for i, z := range dense {
		before[i] = float32(z)
	}
	s := f.qlora(t, h, model.QuantAuto)
	plain := s
	plain.method, plain.adapter = nil, ""
	f.same(t, request{Base: ahead}, plain, before)
	s.method, s.adapter = lora.Config{R: 4, Alpha: 8, Targets: []string{"all-linear"}}, ""
	s.adapter = f.written(t, s, f.Methods["f32"])
	f.same(t, request{Base: ahead, Adapter: s.adapter}, s, before)
	f.same(t, request{Base: f.dir, NF4: true, Adapter: s.adapter}, s, before)
}

// TestCombinedLoads: PEFT puts an adapter that was combined of two on their
// base, and transformers loads a merge that was quantised again.
func TestCombinedLoads(t *testing.T) {
	needsPython(t)
	f := read(t, "llama")
	var parts []adapter.Weighted
	for _, name := range []string{"qv", "rslora"} {
		a, err := adapter.Open(f.adapter(name, "final"))
		require.NoError(t, err)
		parts = append(parts, adapter.Weighted{Adapter: a, Weight: 0.6})
	}
	for _, kind := range []adapter.Kind{"cat", "svd", "ties"} {
		t.Run(string(kind), func(t *testing.T) {
			both, err := adapter.Combine(kind, parts, adapter.Options{Rank: 4, Density: 0.5})
			require.NoError(t, err)
			s := f.setting(t, "qv")
			s.adapter = filepath.Join(t.TempDir(), "both")
			require.NoError(t, both.Write(s.adapter))
			s.method, err = lora.Read(s.adapter)
			require.NoError(t, err)
			f.same(t, request{Base: f.dir, Adapter: s.adapter}, s, f.tensor(t, "logits.0"))
		})
	}
	t.Run("merged nf4", func(t *testing.T) {
		f := read(t, "qlora")
		m, how := model.New(f.config(t)), lora.Config{R: 4, Alpha: 8, Targets: []string{"all-linear"}}
		require.NoError(t, how.Attach(m, 7))
		values, err := how.Load(filepath.Join(f.dir, "final.f32"), m)
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "merged")
		_, err = export.MergeNF4(t.Context(), nil, f.checkpoint(t), m, values, true, dir, nil)
		require.NoError(t, err)
		h, err := hub.Open(dir)
		require.NoError(t, err)
		defer h.Close()
		s := f.qlora(t, h, model.QuantAuto)
		s.method, s.adapter = nil, ""
		dense := logits(t, single, setting{config: f.config(t), source: f.checkpoint(t)}, f.row(0))
		before := make([]float32, len(dense))
		for i, z := range dense {
			before[i] = float32(z)
		}
		f.same(t, request{Base: dir}, s, before)
	})
}

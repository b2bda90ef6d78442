//go:build cuda

package step

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/train"
)

// works are what uses a device, one directory for what each writes.
func works(t *testing.T, dir string) map[string]func(out string) error {
	in := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for name, out := range map[string]string{"lora": "adapted", "head over an encoder": "classes"} {
		settings[name].train(t, dir, out, cpu, 0, false)
	}
	adapters := []graft.Weighted{{Dir: in("adapted", "adapter"), Weight: 1}}
	run := func(name string, work func(*graft.Run) error, sets ...string) func(string) error {
		return func(out string) error {
			run, err := settings[name].prepare(t.Context(), t, dir, filepath.Base(out), cuda, append(sets, "train.max_steps=1")...)
			require.NoError(t, err, "a plan allocates nothing")
			err = work(run)
			require.NoError(t, run.Close())
			return err
		}
	}
	one := in("one.json") // a layer: each operation that is timed takes marks
	require.NoError(t, os.WriteFile(one, []byte(strings.Replace(llama, `"num_hidden_layers": 2`, `"num_hidden_layers": 1`, 1)), 0o644))
	training := func(r *graft.Run) error { _, err := r.Train(t.Context(), false, func(train.Event) {}); return err }
	return map[string]func(string) error{
		"lora":                run("lora", training),
		"qlora":               run("qlora", training), // quantised there while it is loaded
		"head over a decoder": run("head over a decoder", training),
		"evaluation": run("lora", func(r *graft.Run) error { _, err := r.Evaluate(t.Context()); return err },
			"method.init_from="+in("adapted", "adapter")),
		"generation": func(string) error {
			s, err := graft.OpenSpeaker(t.Context(), graft.SpeakerOptions{Model: in("llama-f32"), Adapters: adapters, Device: cuda, MaxTokens: 32})
			if err != nil {
				return err
			}
			ids, err := s.Encode("one two")
			require.NoError(t, err)
			_, err = s.Text.Generate(t.Context(), [][]int32{ids}, generate.Params{MaxNewTokens: 3}, nil, nil)
			require.NoError(t, s.Close())
			return err
		},
		"classes": func(string) error {
			c, err := graft.OpenClassifier(t.Context(), graft.ClassifierOptions{Model: in("bert-f32"), Head: in("classes", "adapter"), Device: cuda, MaxTokens: 32})
			if err != nil {
				return err
			}
			_, err = c.Classify(t.Context(), []string{"one two"})
			require.NoError(t, c.Close())
			return err
		},
		"merge": func(out string) error {
			_, err := graft.Merge(t.Context(), graft.MergeOptions{Model: in("llama-f32"), Out: out, Adapters: adapters, Samples: 1, MaxKL: 1, Device: cuda})
			return err
		},
		"quantize": func(out string) error {
			_, err := graft.Quantize(t.Context(), graft.QuantizeOptions{Model: in("llama-f32"), Out: out, Device: cuda})
			return err
		},
		"bench step": func(string) error {
			c, err := config.Parse("bench", []byte("{device: \"cuda:0\", method: {type: qlora}, data: {max_seq_length: 8}}"), nil)
			require.NoError(t, err)
			_, err = graft.BenchStep(t.Context(), graft.StepBench{Model: one, Settings: c, Steps: 1})
			return err
		},
	}
}

// stillWorks: a device of the same process computes, and knows of no error before it.
func stillWorks(t *testing.T) {
	t.Helper()
	b, err := native.CUDA(native.Options{})
	require.NoError(t, err)
	d, x := small(t, b)
	require.NoError(t, d.(bindings.Runner).Run(func(o bindings.Ops) { o.Zero(x) }))
	got := []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	require.NoError(t, d.Download(got, x))
	require.Equal(t, make([]byte, 16), got)
	require.NoError(t, d.Close())
}

// TestEmulationOutOfMemory: whichever allocation of a work fails, a graph's
// included, it ends with exit code 82, everything is given back, the device can be
// used again, and a model that
// was to be written is not there, or the error says that it is.
func TestEmulationOutOfMemory(t *testing.T) {
	dir := workplace(t)
	for name, work := range works(t, dir) {
		failed := 0
		for n := 1; ; n++ {
			log, out := filepath.Join(t.TempDir(), "log"), filepath.Join(dir, fmt.Sprintf("%s %d", name, n))
			t.Setenv("GRAFT_SHIM_LOG", log)
			t.Setenv("GRAFT_SHIM_FAIL", strconv.Itoa(n))
			err := work(out)
			assert.Empty(t, leaked(calls(t, log)), "%s, after allocation %d failed", name, n)
			assert.Zero(t, native.Live(), name)
			if err == nil {
				break
			}
			require.Equal(t, 82, failure.Code(err), "%s, allocation %d: %v", name, n, err)
			t.Setenv("GRAFT_SHIM_FAIL", "0")
			stillWorks(t)
			if _, missing := os.Stat(filepath.Join(out, "model.safetensors")); missing == nil {
				require.ErrorContains(t, err, out+" is written, but not compared", name)
			}
			failed++
		}
		t.Logf("%s: %d allocations", name, failed)
		assert.GreaterOrEqual(t, failed, 6, "%s: arenas, workspace, pinned blocks, graphs", name)
	}
}

// mostBytes is the most device memory that the log shows as taken at one time.
func mostBytes(t *testing.T, lines []string) (most int64) {
	t.Helper()
	now := int64(0)
	for _, l := range lines {
		f, size, _ := strings.Cut(l, " ")
		if f != "cudaMalloc" && f != "cudaFree" {
			continue
		}
		n, err := strconv.ParseInt(size, 10, 64)
		require.NoError(t, err, l)
		if f == "cudaFree" {
			n = -n
		}
		now += n
		most = max(most, now)
	}
	return most
}

// TestEmulationMemoryLimit: a device that has less free, what its driver takes
// aside, than the plan of all kept is given one with blocks that run again, and
// a device that has less than that is not begun with.
func TestEmulationMemoryLimit(t *testing.T) {
	dir, s := workplace(t), settings["lora"]
	const driver = 512 << 20 // is left to it
	device := func(free int64) { t.Setenv("GRAFT_SHIM_MEMORY", strconv.FormatInt(free+driver, 10)) }
	plan := func(free int64, more ...string) (int64, int, error) {
		device(free)
		run, err := s.prepare(t.Context(), t, dir, "out", cuda, more...)
		if err != nil {
			return 0, 0, err
		}
		defer run.Close()
		return run.Plan.Bytes.Total(), run.Plan.Recomputed, nil
	}
	const ample = 1 << 30
	kept, n, err := plan(ample)
	require.NoError(t, err)
	require.Zero(t, n)
	fits, n, err := plan(kept - 1)
	require.NoError(t, err)
	assert.Positive(t, n)
	assert.Less(t, fits, kept)
	again, _, err := plan(kept-1, "memory.limit=1GiB")
	require.NoError(t, err)
	assert.Equal(t, fits, again, "a limit is no memory")
	_, _, err = plan(kept-1, "memory.checkpointing=none")
	require.Equal(t, 82, failure.Code(err))
	assert.ErrorContains(t, err, "the device has free")
	least, n, err := plan(ample, "memory.checkpointing=full")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	_, _, err = plan(least - 1)
	require.Equal(t, 82, failure.Code(err))
	_, _, err = plan(ample, fmt.Sprintf("memory.limit=%d", least-1))
	require.Equal(t, 82, failure.Code(err))
	assert.ErrorContains(t, err, "memory.limit is")
	fits, _, err = plan(ample, fmt.Sprintf("memory.limit=%d", kept-1))
	require.NoError(t, err)
	assert.Less(t, fits, kept)

	// With blocks that run again the run has the same bits. Either run takes of the
	// device what was planned, to the byte: what is used by the accounts of the run
	// is what the runtime was asked for.
	var curves []curve
	for _, planned := range []int64{kept, fits} {
		log := filepath.Join(t.TempDir(), "log")
		t.Setenv("GRAFT_SHIM_LOG", log)
		device(planned)
		got, result := s.train(t, dir, fmt.Sprint(planned), cuda, 0, false)
		curves = append(curves, got)
		assert.Equal(t, planned, result.Used.Total())
		assert.Equal(t, planned, mostBytes(t, calls(t, log)), "what cudaMalloc was asked for")
	}
	assert.Equal(t, curves[0], curves[1])
}

//go:build cuda

package step

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/train"
)

// These tests ask the host emulation what was called of the CUDA runtime, and
// have it behave badly: cuda/shim/runtime.h says how.

// calls are the lines of the emulation's log since from.
func calls(t *testing.T, log string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // none yet
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// count tells how many calls of a function there are; countAs, of those that the
// log has with these first words.
func count(lines []string, name string) (n int) {
	for _, l := range lines {
		if f, _, _ := strings.Cut(l, " "); f == name {
			n++
		}
	}
	return n
}

func countAs(lines []string, words string) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l, words) {
			n++
		}
	}
	return n
}

// allocating are the calls that take or give back something.
func allocating(lines []string) (all []string) {
	for _, l := range lines {
		name, _, _ := strings.Cut(l, " ")
		for _, part := range []string{"Malloc", "Free", "Create", "Destroy", "Instantiate"} {
			if strings.Contains(name, part) {
				all = append(all, l)
			}
		}
	}
	return all
}

// leaked are what the log shows as created and not destroyed.
func leaked(lines []string) map[string]int {
	all := map[string]int{}
	for _, x := range [][2]string{
		{"cudaMalloc", "cudaFree"}, {"cudaMallocHost", "cudaFreeHost"}, {"cudaStreamCreate", "cudaStreamDestroy"},
		{"cudaEventCreate", "cudaEventDestroy"}, {"cudaGraphInstantiate", "cudaGraphExecDestroy"},
	} {
		if n := count(lines, x[0]) - count(lines, x[1]); n != 0 {
			all[x[0]] = n
		}
	}
	return all
}

// TestEmulationStep: after the first step of each shape nothing is allocated and
// nothing recorded; a step is a launch of each of its programs, uploads that wait
// for nothing, and one download. Four-bit weights are decoded on a second stream.
func TestEmulationStep(t *testing.T) {
	dir := workplace(t)
	for _, name := range []string{"lora", "lora in bf16", "qlora in bf16", "full in bf16", "prefix"} {
		const micros = 4 // an epoch; more uploads than blocks that they go through
		log := filepath.Join(t.TempDir(), "log")
		t.Setenv("GRAFT_SHIM_LOG", log)
		run, err := settings[name].prepare(t.Context(), t, dir, name, cuda, "eval.every=0", "data.val_set_size=0", "train.max_steps=4", fmt.Sprintf("train.gradient_accumulation_steps=%d", micros))
		require.NoError(t, err)
		var marks []int // lines at the end of each step
		_, err = run.Train(t.Context(), false, func(e train.Event) {
			if e.Step > 0 {
				marks = append(marks, len(calls(t, log)))
			}
		})
		require.NoError(t, err)
		require.NoError(t, run.Close())
		require.Len(t, marks, 4)
		all := calls(t, log)
		for step := 2; step < 4; step++ { // every shape has run by then
			part := all[marks[step-1]:marks[step]]
			assert.Empty(t, allocating(part), "%s, step %d", name, step+1)
			assert.Zero(t, count(part, "cudaEventSynchronize"), "%s, step %d", name, step+1)
			assert.Equal(t, 2+micros, count(part, "cudaGraphLaunch"), "clear, micro-batches, update")
			assert.Equal(t, 1, countAs(part, "cudaMemcpyAsync down"), "one download: %v", part)
			assert.Equal(t, 1, count(part, "cudaStreamSynchronize"), "one wait, for the download: %v", part)
			assert.Equal(t, 1+3*micros, count(part, "cudaMemcpyAsync"), "three uploads a micro-batch: %v", part)
		}
		for i, l := range all { // no later: the first launch of a graph would take that memory inside of a step
			if strings.HasPrefix(l, "cudaGraphUpload") {
				assert.Contains(t, all[i-1], "cudaGraphInstantiate", l)
			}
		}
		assert.Equal(t, count(all, "cudaGraphInstantiate"), count(all, "cudaGraphUpload"))
		aside := 0
		for _, l := range all {
			var nodes, n int
			if k, _ := fmt.Sscanf(l, "cudaGraphInstantiate %d, %d aside", &nodes, &n); k == 2 {
				assert.Less(t, n, nodes, l)
				aside += n
			}
		}
		assert.Equal(t, name == "qlora in bf16", aside > 0, "%s: %d on the second stream", name, aside)
		assert.Empty(t, leaked(all))
	}
}

// TestEmulationReading: once it was warm, evaluation and generation allocate and
// record nothing either.
func TestEmulationReading(t *testing.T) {
	dir, log := workplace(t), filepath.Join(t.TempDir(), "log")
	t.Setenv("GRAFT_SHIM_LOG", log)
	run, err := settings["qlora in bf16"].prepare(t.Context(), t, dir, "out", cuda, "train.max_steps=4", "eval.every=1")
	require.NoError(t, err)
	var marks []int
	_, err = run.Train(t.Context(), false, func(e train.Event) {
		if e.Step > 0 && e.EvalLoss != nil {
			marks = append(marks, len(calls(t, log)))
		}
	})
	require.NoError(t, err)
	require.NoError(t, run.Close())
	require.Len(t, marks, 4)
	assert.Empty(t, allocating(calls(t, log)[marks[2]:marks[3]]), "a step and its evaluation")

	s, err := graft.OpenSpeaker(t.Context(), graft.SpeakerOptions{Model: filepath.Join(dir, "llama-bf16"), Device: cuda, Quant: model.QuantNF4, MaxTokens: 32})
	require.NoError(t, err)
	ids, err := s.Encode("one two")
	require.NoError(t, err)
	for i := range 2 {
		before := len(calls(t, log))
		_, err = s.Text.Generate(t.Context(), [][]int32{ids}, generate.Params{MaxNewTokens: 4}, nil, nil)
		require.NoError(t, err)
		if part := calls(t, log)[before:]; i > 0 {
			assert.Empty(t, allocating(part))
			assert.Positive(t, count(part, "cudaGraphLaunch"))
			assert.Equal(t, countAs(part, "cudaMemcpyAsync down"), count(part, "cudaStreamSynchronize"), "nothing is waited for but tokens")
		}
	}
	require.NoError(t, s.Close())
	assert.Empty(t, leaked(calls(t, log)))
}

// TestEmulationStreamOrders: the same bits when the device does everything at
// once, as late as it may, or something in between.
func TestEmulationStreamOrders(t *testing.T) {
	dir := workplace(t)
	for _, name := range []string{"lora", "qlora in bf16", "full in bf16", "prefix", "head over a decoder with lora"} {
		s := settings[name]
		var want curve
		for i, order := range []string{"", "early", "random"} {
			t.Setenv("GRAFT_SHIM_STREAM", order)
			got, _ := s.train(t, dir, fmt.Sprintf("%s/orders%d", name, i), cuda, 0, false)
			if i == 0 {
				want = got
			}
			assert.Equal(t, want, got, "%s, stream %q", name, order)
		}
	}
}

// small is a device with room for four numbers.
func small(t *testing.T, b bindings.Backend) (bindings.Device, bindings.Tensor) {
	t.Helper()
	m := bindings.NewMemory()
	x := m.Act(bindings.F32, 4)
	d, err := b.Open(m.Peak())
	require.NoError(t, err)
	return d, x
}

// TestEmulationClock: a mark has a time once what was issued before it is done,
// and not before; the CPU has no such clock.
func TestEmulationClock(t *testing.T) {
	t.Setenv("GRAFT_SHIM_STREAM", "") // as late as it may
	b, err := native.CUDA(native.Options{})
	require.NoError(t, err)
	d, x := small(t, b)
	defer func() { require.NoError(t, d.Close()) }()
	clock := d.(bindings.Marker)
	for i := range 3 {
		require.NoError(t, clock.Mark(i))
		require.NoError(t, d.Upload(x, make([]byte, 16)))
	}
	_, err = clock.Elapsed(0, 1)
	require.ErrorContains(t, err, "time between marks", "nothing was done yet")
	require.NoError(t, d.Download(make([]byte, 16), x))
	first, err := clock.Elapsed(0, 1)
	require.NoError(t, err)
	second, err := clock.Elapsed(1, 2)
	require.NoError(t, err)
	both, err := clock.Elapsed(0, 2)
	require.NoError(t, err)
	assert.Positive(t, first)
	assert.InDelta(t, both, first+second, 1e3, "in nanoseconds; a device tells milliseconds in float32")
	for _, i := range []int{-1, 3} {
		_, err = clock.Elapsed(0, i)
		assert.ErrorContains(t, err, "was not made")
	}
	assert.ErrorContains(t, clock.Mark(1<<16), "there are 65536")

	host, _ := small(t, native.CPU(native.Options{}))
	defer func() { require.NoError(t, host.Close()) }()
	assert.ErrorIs(t, host.(bindings.Marker).Mark(0), bindings.ErrNotImplemented)
	_, err = host.(bindings.Marker).Elapsed(0, 0)
	assert.ErrorIs(t, err, bindings.ErrNotImplemented)
}

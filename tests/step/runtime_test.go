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

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
)

// These tests ask the host emulation what was called of the CUDA runtime, and
// have it behave badly: cuda/shim/runtime.h says how.

// calls are the lines of the emulation's log since from.
func calls(t *testing.T, log string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// count tells how many calls of a function there are.
func count(lines []string, name string) (n int) {
	for _, l := range lines {
		if f, _, _ := strings.Cut(l, " "); f == name {
			n++
		}
	}
	return n
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

// TestEmulationStep: after the first step of each shape nothing is allocated and
// nothing recorded; a step is a launch of each of its programs, uploads that wait
// for nothing, and one download.
func TestEmulationStep(t *testing.T) {
	dir, log := workplace(t), filepath.Join(t.TempDir(), "log")
	t.Setenv("GRAFT_SHIM_LOG", log)
	s := settings["lora"]
	run, err := s.prepare(t.Context(), t, dir, "out", cuda, "eval.every=0", "data.val_set_size=0", "train.max_steps=6")
	require.NoError(t, err)
	defer run.Close()
	var marks []int // lines at the end of each step
	_, err = run.Train(t.Context(), false, func(e train.Event) {
		if e.Step > 0 {
			marks = append(marks, len(calls(t, log)))
		}
	})
	require.NoError(t, err)
	require.Len(t, marks, 6)
	all := calls(t, log)
	for step := 2; step < 6; step++ { // every shape has run by then
		part := all[marks[step-1]:marks[step]]
		for _, name := range []string{"cudaMalloc", "cudaMallocHost", "cudaFree", "cudaGraphInstantiate", "cudaEventCreate", "cudaEventSynchronize"} {
			assert.Zero(t, count(part, name), "%s in step %d: %v", name, step+1, part)
		}
		assert.Equal(t, 4, count(part, "cudaGraphLaunch"), "clear, two micro-batches, update")
		down := 0
		for _, l := range part {
			if strings.HasPrefix(l, "cudaMemcpyAsync down") {
				down++
			}
		}
		assert.Equal(t, 1, down, "one download: %v", part)
		assert.Equal(t, 1, count(part, "cudaStreamSynchronize"), "one wait, for the download: %v", part)
		assert.Equal(t, 7, count(part, "cudaMemcpyAsync"), "three uploads a micro-batch: %v", part)
	}
	for i, l := range all { // no later: the first launch of a graph would take that memory inside of a step
		if strings.HasPrefix(l, "cudaGraphUpload") {
			assert.Contains(t, all[i-1], "cudaGraphInstantiate", l)
		}
	}
	assert.Equal(t, count(all, "cudaGraphInstantiate"), count(all, "cudaGraphUpload"))
	assert.Empty(t, leaked(all))
}

// TestEmulationStreamOrders: the same bits when the device does everything at
// once, as late as it may, or something in between.
func TestEmulationStreamOrders(t *testing.T) {
	dir := workplace(t)
	for _, name := range []string{"lora", "qlora", "head over a decoder with lora"} {
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

// TestEmulationOutOfMemory: whichever allocation of a run fails, a graph's
// included, the run ends with exit code 82 and everything is given back.
func TestEmulationOutOfMemory(t *testing.T) {
	dir := workplace(t)
	for _, name := range []string{"lora", "head over a decoder"} {
		failed := 0
		for n := 1; ; n++ {
			log := filepath.Join(t.TempDir(), "log")
			t.Setenv("GRAFT_SHIM_LOG", log)
			t.Setenv("GRAFT_SHIM_FAIL", strconv.Itoa(n))
			run, err := settings[name].prepare(t.Context(), t, dir, fmt.Sprintf("%s/memory%d", name, n), cuda, "train.max_steps=1")
			require.NoError(t, err, "a plan allocates nothing")
			_, err = run.Train(t.Context(), false, nil)
			require.NoError(t, run.Close())
			assert.Empty(t, leaked(calls(t, log)), "after allocation %d failed", n)
			assert.Zero(t, native.Live())
			if err == nil {
				break
			}
			require.Equal(t, 82, failure.Code(err), "allocation %d: %v", n, err)
			failed++
		}
		assert.Greater(t, failed, 8, "arenas, workspace, pinned blocks, graphs")
	}
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

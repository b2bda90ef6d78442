package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPJRTCommands walks the commands with --device pjrt: over the plugin that
// GRAFT_PJRT_PLUGIN names: stderr tells what compiles, the plan has the compiler's
// figures beside its own, and the losses and words are those of the CPU.
func TestPJRTCommands(t *testing.T) {
	plugin := os.Getenv("GRAFT_PJRT_PLUGIN")
	if plugin == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	device := "pjrt:" + plugin
	dir := workplace(t)
	begun, finished := regexp.MustCompile(`(?m)^compiling (.+): \d+ operations$`), regexp.MustCompile(`(?m)^compiled (.+) in \d+\.\d s, \d.* of temporaries$`)
	names := func(form *regexp.Regexp, stderr string) (all []string) {
		for _, m := range form.FindAllStringSubmatch(stderr, -1) {
			all = append(all, m[1])
		}
		return all
	}
	compiles := func(args ...string) output {
		o := graft(t, dir, append(args, "--device", device)...)
		require.Zero(t, o.code, "%v: %s", args, o.stderr)
		programs := names(begun, o.stderr)
		assert.NotEmpty(t, programs, "%v: %s", args, o.stderr)
		assert.Equal(t, programs, names(finished, o.stderr), "%v: %s", args, o.stderr)
		return o
	}
	plan := compiles("plan", "run.yaml")
	assert.Regexp(t, `(?m)^compiler +its own figures, for the largest micro-batch$`, plan.stdout)
	assert.Regexp(t, `(?m)^ +program +given +kept +temporary +code +compiled in$`, plan.stdout)
	for _, program := range names(begun, plan.stderr) {
		assert.Regexp(t, `(?m)^ +`+regexp.QuoteMeta(program)+` .* \d+\.\d s$`, plan.stdout)
	}
	assert.Regexp(t, `(?m)^ +at most +\S+ \wiB: \S+ \wiB held, as planned, and \S+ \wiB of temporaries`, plan.stdout)
	assert.NotContains(t, done(t, dir, "plan", "run.yaml"), "compiler", "the CPU compiles nothing")

	compiles("train", "run.yaml")
	done(t, dir, "train", "run.yaml", "--set", "train.output_dir=cpu")
	got, want := losses(t, dir, "out"), losses(t, dir, "cpu")
	require.Len(t, want, 6)
	require.Len(t, got, 6)
	for i := range want {
		assert.InEpsilon(t, want[i]["loss"], got[i]["loss"], 1e-4, "step %d", i+1)
	}
	assert.FileExists(t, filepath.Join(dir, "out", "adapter", "adapter_model.safetensors"))
	speak := []string{"generate", "base", "--adapter", "out/adapter", "--prompt", "What is 3 and 4?", "--max-new-tokens", "6", "--dtype", "f32"}
	assert.Equal(t, done(t, dir, speak...), compiles(speak...).stdout)
}

// TestMissingPlugin: every command that computes ends with the code of a device
// that is not there, and leaves nothing behind.
func TestMissingPlugin(t *testing.T) {
	dir := workplace(t)
	for _, args := range [][]string{
		{"train", "run.yaml"}, {"plan", "run.yaml"}, {"eval", "run.yaml", "--adapter", "none"},
		{"generate", "base", "--prompt", "What", "--max-new-tokens", "1"},
	} {
		for _, device := range []string{"pjrt:/no/such/plugin.so", "pjrt:nothing"} {
			o := graft(t, dir, append(args, "--device", device)...)
			assert.Equal(t, 69, o.code, "%v: %s", args, o.stderr)
			assert.Contains(t, o.stderr, strings.TrimPrefix(device, "pjrt:"))
		}
	}
	assert.NoDirExists(t, filepath.Join(dir, "out"))
}

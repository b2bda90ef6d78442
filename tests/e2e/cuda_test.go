//go:build cuda

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/go/export"
)

// TestCUDACommands walks the commands with --device cuda:0 over the library that
// GRAFT_CUDA_LIB names. One word is another than on the CPU.
func TestCUDACommands(t *testing.T) {
	dir := workplace(t)
	devices := done(t, dir, "devices")
	require.Contains(t, devices, "cuda:0")
	assert.Regexp(t, `free of .*, \d\d operations`, devices)
	assert.Contains(t, done(t, dir, "devices", "--json"), `"arch": "sm_`, "which cuda/carried.sh looks for")
	assert.Regexp(t, `(?m)^rms_norm_backward +yes +yes$`, done(t, dir, "devices", "--ops"))

	for _, method := range []string{"lora", "prompt"} {
		file, adapter := method+".yaml", method+"/adapter"
		write(t, dir, file, strings.NewReplacer("{type: lora, r: 4, lora_alpha: 8}", "{type: "+method+"}", "output_dir: out", "output_dir: "+method).Replace(runFile))
		done(t, dir, "train", file, "--memory", "2GiB", "--device", "cuda:0")
		same := func(args ...string) {
			assert.Equal(t, done(t, dir, append(args, "--device", "cpu")...), done(t, dir, append(args, "--device", "cuda:0")...), args)
		}
		same("eval", file, "--adapter", adapter)
		same("generate", "base", "--adapter", adapter, "--prompt", "What is 3 and 4?", "--max-new-tokens", "6", "--dtype", "f32")
	}
	o := graft(t, dir, "train", "run.yaml", "--set", "train.output_dir=small", "--device", "cuda:0", "--memory", "1MiB")
	assert.Equal(t, 82, o.code, o.stderr)
	done(t, dir, "merge", "--model", "base", "--adapter", "lora/adapter", "--out", "merged", "--device", "cuda:0", "--verify", "1")
	assert.FileExists(t, filepath.Join(dir, "merged", "model.safetensors"))
	tokens, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	require.NoError(t, err)
	wide := strings.NewReplacer(`"hidden_size": 32`, `"hidden_size": 64`).Replace(llama)
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "wide"), []byte(wide), map[string][]byte{"tokenizer.json": tokens}, "F32", 1))
	done(t, dir, "quantize", "wide", "--out", "nf4")
	done(t, dir, "generate", "nf4", "--prompt", "What", "--max-new-tokens", "2", "--device", "cuda:0")
	onCPU, onGPU := timeStep(t, dir, "cpu", "lora"), timeStep(t, dir, "cuda:0", "lora")
	assert.Equal(t, onCPU.ModelFLOPs, onGPU.ModelFLOPs, "they are counted, not measured")
	assert.Contains(t, onGPU.Operations, "linear_backward")

	// A GPU that is too old is said to be, and auto goes on without it.
	t.Setenv("GRAFT_SHIM_ARCH", "75")
	assert.Regexp(t, `cuda:0 +not available: .*is sm_75; sm_80 or later is needed`, done(t, dir, "devices"))
	assert.NotContains(t, timeStep(t, dir, "auto", "lora").Device, "sm_")
	assert.Equal(t, 69, graft(t, dir, "bench", "step", "--model", "tiny", "--seq", "16", "--device", "cuda:0").code)
}

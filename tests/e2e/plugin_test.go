package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/pjrt"
)

// TestPluginOutOfMemory: a plugin reserves nothing when it is opened, so memory
// ends with an upload; the exit code is the same. The stub is that of
// bindings/pjrt.
func TestPluginOutOfMemory(t *testing.T) {
	if !pjrt.Compiled {
		t.Skip("this build has no cgo")
	}
	dir := workplace(t)
	plugin := filepath.Join(dir, "stub.so")
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/gopjrt").Output()
	require.NoError(t, err)
	out, err := exec.Command("cc", "-shared", "-fPIC", "-I", filepath.Join(strings.TrimSpace(string(header)), "pjrt"), "-DFAIL=UPLOAD", "-DCODE=PJRT_Error_Code_RESOURCE_EXHAUSTED",
		"-o", plugin, "../../bindings/pjrt/testdata/stub.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, args := range [][]string{
		{"bench", "step", "--model", "tiny", "--seq", "16", "--set", "model.dtype=f32"},
		{"train", "run.yaml", "--set", "model.dtype=f32"},
		{"generate", "base", "--prompt", "What", "--dtype", "f32"},
	} {
		o := graft(t, dir, append(args, "--device", "pjrt:"+plugin)...)
		assert.Equal(t, 82, o.code, "%s: %s", args, o.stderr)
		assert.Contains(t, o.stderr, "as the stub was told")
	}
}

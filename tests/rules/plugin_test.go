package rules

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPluginIsUsed: whatever runs only on a PJRT plugin is run with one, by make
// test-pjrt or make bench, which go by the name.
func TestPluginIsUsed(t *testing.T) {
	dry := exec.Command("make", "-n", "test-pjrt", "bench-plugin")
	dry.Dir = root(t)
	out, err := dry.CombinedOutput()
	require.NoError(t, err, "%s", out)
	recipes := ""
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "GRAFT_PJRT_PLUGIN=") {
			recipes += line + " "
		}
	}
	functions := regexp.MustCompile(`(?ms)^func ((?:Test|Benchmark)\w+)\(.*?^}`)
	found := 0
	sources(t, func(path string, content []byte) {
		if !bytes.Contains(content, []byte(`Getenv("GRAFT_PJRT_PLUGIN")`)) || !strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == filepath.Join(root(t), "tests/rules") {
			return
		}
		dir, err := filepath.Rel(root(t), filepath.Dir(path))
		require.NoError(t, err)
		require.Contains(t, recipes, " ./"+dir+" ", "%s needs a plugin, and no target runs it with one", path)
		for _, f := range functions.FindAllSubmatch(content, -1) {
			if bytes.Contains(f[0], []byte("GRAFT_PJRT_PLUGIN")) {
				require.Contains(t, string(f[1]), "PJRT", path)
				found++
			}
		}
	})
	require.Greater(t, found, 3)
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	require.NoError(t, err)
	bench := regexp.MustCompile(`(?ms)^bench:.*?\n\n`).Find(makefile)
	require.Contains(t, string(bench), " bench-plugin ", "make bench runs the step on a plugin where pip can fetch it")
}

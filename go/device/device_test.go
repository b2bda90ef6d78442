package device

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/pjrt"
	"github.com/graftlm/graft/go/failure"
)

func TestNames(t *testing.T) {
	for _, name := range []string{"cpu", "reference"} {
		p, err := Profile(name, 1)
		require.NoError(t, err)
		assert.Equal(t, name, p.Name)
		if name == "reference" || native.Compiled {
			b, err := Open(name, 1)
			require.NoError(t, err)
			assert.Equal(t, name, b.Profile().Name)
		}
	}
	for name, text := range map[string]string{
		"gpu":               `device "gpu" is not known`,
		"cuda:x":            `device "cuda:x": want cuda:N`,
		"cuda:-1":           "want cuda:N",
		"pjrt:":             "names no plugin",
		"pjrt:?device=1":    "names no plugin",
		"pjrt:cpu?device=x": `device is "x", want the number of one`,
		"pjrt:cpu?a=%zz":    "options are name=value",
	} {
		_, err := Open(name, 1)
		assert.Equal(t, 78, failure.Code(err), "%s: %v", name, err)
		assert.ErrorContains(t, err, text)
	}
	for name, want := range map[string]string{"cuda:3": "cuda", "pjrt:/not/there.so": "pjrt"} {
		p, err := Profile(name, 1)
		require.NoError(t, err, "a plan needs no device")
		assert.Equal(t, want, p.Name)
	}
}

// TestWithoutCgo: a native device that is asked for is refused, and none asked
// for is the reference.
func TestWithoutCgo(t *testing.T) {
	if native.Compiled {
		t.Skip("this build has native code; make check runs this without")
	}
	for _, name := range []string{"cpu", "cuda:0"} {
		_, err := Open(name, 1)
		assert.Equal(t, 69, failure.Code(err), "%s: %v", name, err)
		assert.ErrorContains(t, err, "cgo")
	}
	for _, name := range []string{"", "auto"} {
		b, err := Open(name, 1)
		require.NoError(t, err)
		assert.Equal(t, "reference", b.Profile().Name)
	}
}

// TestMissingPlugin: exit code 69, with what was tried and what is needed.
func TestMissingPlugin(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(PathVariable, folder)
	text := filepath.Join(folder, "text.so")
	require.NoError(t, os.WriteFile(text, []byte("no library"), 0o600))
	for name, parts := range map[string][]string{
		"pjrt:/no/such/plugin.so": {"/no/such/plugin.so"},
		"pjrt:" + folder + "/":    {"is a directory; name the .so file in it"},
		"pjrt:nothing":            {`no PJRT plugin is called "nothing"`, "xla_nothing_pjrt.so", folder, PathVariable, "pjrt:/path/to/plugin.so"},
		"pjrt:" + text:            {"text.so"},
		"pjrt:text":               {"text.so"},
	} {
		_, err := Open(name, 1)
		assert.Equal(t, 69, failure.Code(err), "%s: %v", name, err)
		for _, part := range parts {
			assert.ErrorContains(t, err, part)
		}
	}
}

// TestOptions: what follows the question mark, in the types of PJRT.
func TestOptions(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(PathVariable, "/no/such/folder:"+folder)
	file := filepath.Join(folder, "pjrt_c_api_fast_plugin.so")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	o, err := pjrtOptions("fast?device=2&preallocate=false&memory_fraction=0.5&visible=3&allocator=bfc&name=a%20b")
	require.NoError(t, err)
	assert.Equal(t, pjrt.Options{Plugin: file, Device: 2, Client: map[string]any{
		"preallocate": false, "memory_fraction": float32(0.5), "visible": int64(3), "allocator": "bfc", "name": "a b",
	}}, o)
	// The folders are searched in their order, and in each the short names.
	other := t.TempDir()
	t.Setenv(PathVariable, other+":"+folder)
	first := filepath.Join(other, "fast.so")
	require.NoError(t, os.WriteFile(first, nil, 0o600))
	o, err = pjrtOptions("fast")
	require.NoError(t, err)
	assert.Equal(t, first, o.Plugin)
	o, err = pjrtOptions(file)
	require.NoError(t, err)
	assert.Equal(t, file, o.Plugin, "a path is no name")
}

// TestList lists a plugin by its short name, and one that is none with the
// reason. The stub is that of bindings/pjrt.
func TestList(t *testing.T) {
	if !pjrt.Compiled {
		t.Skip("this build has no cgo")
	}
	folder := t.TempDir()
	t.Setenv(PathVariable, folder)
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/gopjrt").Output()
	require.NoError(t, err)
	out, err := exec.Command("cc", "-shared", "-fPIC", "-I", filepath.Join(strings.TrimSpace(string(header)), "pjrt"),
		"-o", filepath.Join(folder, "xla_stub_pjrt.so"), "../../bindings/pjrt/testdata/stub.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "wrong.so"), nil, 0o600))
	found := map[string]Entry{}
	for _, e := range List() {
		found[e.Name] = e
	}
	assert.Contains(t, found, "cpu")
	assert.Contains(t, found, "reference")
	assert.EqualValues(t, 80000, found["pjrt:stub"].Description.MemoryTotal)
	assert.Contains(t, found["pjrt:stub"].Info, "StubDevice, platform stub 1, PJRT 0.81, 0.0 GiB")
	assert.Contains(t, found["pjrt:wrong"].Missing, "wrong.so")
	b, err := Open("pjrt:stub", 0)
	require.NoError(t, err)
	assert.Contains(t, b.Info(), "StubDevice, device 0 of 1")
	_, err = Open("pjrt:stub?device=1", 0)
	assert.Equal(t, 69, failure.Code(err), "%v", err)
}

// TestPJRTDevices: several devices of a plugin are listed, and each opens.
func TestPJRTDevices(t *testing.T) {
	plugin := os.Getenv("GRAFT_PJRT_PLUGIN")
	if plugin == "" {
		t.Skip("GRAFT_PJRT_PLUGIN is not set; make test-pjrt sets it")
	}
	t.Setenv(PathVariable, filepath.Dir(plugin))
	var names []string
	for _, e := range List() {
		if strings.HasPrefix(e.Name, "pjrt:cpu") {
			names = append(names, e.Name)
			assert.Contains(t, e.Info, "platform cpu")
			assert.Contains(t, e.Info, plugin)
		}
	}
	require.Greater(t, len(names), 1, "the plugin has several devices")
	for _, name := range names {
		_, err := Open(name, 0)
		require.NoError(t, err, name)
	}
}

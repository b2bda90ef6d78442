//go:build cgo

package native

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

// library compiles one whose table is as the text of a function says; "" has no
// such function.
func library(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), cudaLibrary)
	text := "#include \"graft/graft.h\"\nstatic graft_api api;\n"
	if body != "" {
		text += "extern \"C\" const graft_api* graft_cuda_api(void) { " + body + " }\n"
	}
	c := exec.Command("g++", "-std=c++17", "-shared", "-fPIC", "-I", "../../csrc/include", "-x", "c++", "-", "-o", path)
	c.Stdin = strings.NewReader(text)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// fitting is a table that is accepted, with what follows changed in it.
const fitting = "api.struct_size = sizeof api; api.abi_major = GRAFT_ABI_MAJOR; "

// TestEveryLibraryIsTried: the error says of each place what is wrong there, in
// their order; one that fits is taken whatever came before it.
func TestEveryLibraryIsTried(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	require.NoError(t, os.WriteFile(text, []byte("no library"), 0o600))
	var paths, said []string
	for _, x := range []struct{ path, why string }{
		{filepath.Join(t.TempDir(), "none.so"), ": not there"},
		{text, ": file too short"},
		{library(t, ""), ": it has no function graft_cuda_api"},
		{library(t, "return 0;"), ": no function table"},
		{library(t, fitting+"api.abi_major += 1; return &api;"), ": it has version "},
		{library(t, fitting+"api.struct_size -= 1; return &api;"), ": its table has "},
		{"libgraft_no_such_name.so", ": cannot open shared object file"},
	} {
		paths, said = append(paths, x.path), append(said, x.path+x.why)
		_, err := openTable(x.path, "graft_cuda_api")
		require.ErrorContains(t, err, x.path+x.why)
	}
	_, err := openFirst(paths)
	require.ErrorIs(t, err, bindings.ErrUnavailable)
	assert.ErrorContains(t, err, "set "+CUDALibraryVariable+" to the path of one")
	assert.Equal(t, 2, strings.Count(err.Error(), "use the library of the same release"))
	rest := err.Error()
	for _, why := range said {
		_, after, found := strings.Cut(rest, why)
		require.True(t, found, "%q is not in %q", why, rest)
		rest = after
	}

	fits, second := library(t, fitting+"return &api;"), library(t, fitting+"return &api;")
	got, err := openFirst(append(paths, fits, second))
	require.NoError(t, err)
	assert.Equal(t, fits, got.file)
	got, err = openFirst([]string{library(t, fitting+"api.struct_size += 8; api.abi_minor += 1; return &api;")})
	require.NoError(t, err, "a later release of the same version has more at its end")
	assert.NotEmpty(t, got.file)
}

// TestPlacesOfTheLibrary: beside the program, ../lib, build/lib of where it was
// started, the loader's own; a path that is set is the only one.
func TestPlacesOfTheLibrary(t *testing.T) {
	t.Setenv(CUDALibraryVariable, "")
	exe, err := os.Executable()
	require.NoError(t, err)
	exe, err = filepath.EvalSymlinks(exe)
	require.NoError(t, err)
	dir := t.TempDir()
	t.Chdir(dir)
	at := filepath.Dir(exe)
	assert.Equal(t, []string{
		filepath.Join(at, cudaLibrary), filepath.Join(filepath.Dir(at), "lib", cudaLibrary), filepath.Join(dir, "build", "lib", cudaLibrary), cudaLibrary,
	}, cudaPaths())
	t.Setenv(CUDALibraryVariable, "/opt/graft.so")
	assert.Equal(t, []string{"/opt/graft.so"}, cudaPaths())
}

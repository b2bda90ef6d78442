package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/tests/optest"
)

// TestHeaders compiles each header of the C interface alone, as C11 and C++17.
func TestHeaders(t *testing.T) {
	headers, err := filepath.Glob(filepath.Join(root(t), "csrc/include/graft/*.h"))
	require.NoError(t, err)
	require.NotEmpty(t, headers)
	for _, h := range headers {
		for _, args := range [][]string{
			{"cc", "-std=c11", "-x", "c"},
			{"c++", "-std=c++17", "-x", "c++"},
		} {
			t.Run(filepath.Base(h)+"/"+args[1][5:], func(t *testing.T) {
				unit := filepath.Join(t.TempDir(), "unit")
				require.NoError(t, os.WriteFile(unit, []byte("#include \"graft/"+filepath.Base(h)+"\"\n"), 0o600))
				flags := append(args[1:], "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", filepath.Join(root(t), "csrc/include"), unit)
				out, err := exec.Command(args[0], flags...).CombinedOutput()
				require.NoError(t, err, "%s", out)
			})
		}
	}
}

// slots are the operations of the function table.
func slots(t *testing.T) (names []string) {
	header, err := os.ReadFile(filepath.Join(root(t), "csrc/include/graft/ops.h"))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\s+DO\((\w+)\)`).FindAllStringSubmatch(string(header), -1) {
		names = append(names, m[1])
	}
	require.NotEmpty(t, names)
	return names
}

// TestSlots: every slot of the table is a method of bindings.Ops and has rows
// in the table of operations, and the reverse.
func TestSlots(t *testing.T) {
	methods, rows := map[string]bool{}, map[string]bool{}
	ops := reflect.TypeFor[bindings.Ops]()
	for i := range ops.NumMethod() {
		methods[strings.ToLower(ops.Method(i).Name)] = true
	}
	delete(methods, "order") // void on every device with a function table
	names := map[string]bool{}
	for _, c := range optest.Cases() {
		require.False(t, names[c.Name()], "two cases are called %s", c.Name())
		names[c.Name()], rows[c.Op] = true, true
	}
	for _, slot := range slots(t) {
		method := strings.ReplaceAll(slot, "_", "")
		require.True(t, methods[method], "%s is in graft.h and no method of bindings.Ops", slot)
		require.True(t, rows[slot], "%s is in graft.h and has no row in tests/optest", slot)
		delete(methods, method)
		delete(rows, slot)
	}
	require.Empty(t, methods, "methods of bindings.Ops without a slot in graft.h")
	require.Empty(t, rows, "rows of tests/optest without a slot in graft.h")
}

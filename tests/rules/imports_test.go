package rules

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/graftlm/graft/"

// goPackage is what `go list` says of a package.
type goPackage struct {
	ImportPath, Name, Doc, Dir                     string
	Imports, TestImports, XTestImports             []string
	GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles []string
}

// path is the import path below the module.
func (p goPackage) path() string { return strings.TrimPrefix(p.ImportPath, module) }

// below reports whether a path is one of the folders or inside of it.
func below(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// packages lists those of the module.
func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	list := exec.Command("go", "list", "-json", "./...")
	list.Dir = root(t)
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	require.NoError(t, err, stderr.String())
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
	require.Greater(t, len(all), 10)
	return all
}

// root is the folder of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// rule says that packages inside from import nothing inside to, apart from
// what is inside except.
type rule struct{ from, to, except []string }

var rules = []rule{
	// cmd → go → bindings → csrc
	{from: []string{"csrc"}, to: []string{"bindings", "go", "cmd"}},
	{from: []string{"bindings"}, to: []string{"go", "cmd"}},
	{from: []string{"go"}, to: []string{"cmd"}},
	{from: []string{"cmd", "go", "bindings", "csrc"}, to: []string{"tests", "examples"}},
	// train → {method, data, optim, checkpoint, plan} → model → nn
	{from: []string{"go/nn"}, to: []string{"go/model", "go/method", "go/data", "go/optim", "go/checkpoint", "go/plan", "go/train"}},
	{from: []string{"go/model"}, to: []string{"go/method", "go/data", "go/optim", "go/checkpoint", "go/plan", "go/train"}},
	{from: []string{"go/method", "go/data", "go/optim", "go/checkpoint", "go/plan"}, to: []string{"go/train"}},
	// Formats are rooms of their own.
	{
		from: []string{"go/tokenizer", "go/chat", "go/safetensors", "go/hub", "go/bnb", "go/failure", "go/config", "go/atomicfs"},
		to:   []string{"go/train", "go/method", "go/data", "go/optim", "go/checkpoint", "go/plan", "go/model", "go/nn"},
	},
	// Layers are written against the interface and know no device.
	{from: []string{"go/nn", "go/model", "go/method", "go/optim"}, to: []string{"bindings/native", "bindings/pjrt", "bindings/reference"}},
}

// breach is the first rule that an import breaks.
func breach(from, to string) (rule, bool) {
	for _, r := range rules {
		if below(from, r.from...) && below(to, r.to...) && !below(to, r.except...) {
			return r, true
		}
	}
	return rule{}, false
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			to, own := strings.CutPrefix(i, module)
			if !own {
				continue
			}
			if r, broken := breach(p.path(), to); broken {
				t.Errorf("%s imports %s: nothing in %v may import from %v", p.path(), to, r.from, r.to)
			}
		}
	}
}

// TestRulesBite shows that the rules refuse what they are there for.
func TestRulesBite(t *testing.T) {
	for _, i := range [][2]string{
		{"bindings/count", "go/nn"}, {"go/nn", "go/model"}, {"go/model", "go/train"}, {"go/data", "go/train"},
		{"go/chat/jinja", "go/data"}, {"go/nn", "bindings/native"}, {"go/train", "cmd/graft"}, {"bindings", "tests/optest"},
	} {
		_, broken := breach(i[0], i[1])
		require.True(t, broken, "%s may import %s", i[0], i[1])
	}
	for _, i := range [][2]string{{"go/train", "go/model"}, {"go/nn", "bindings"}, {"cmd/graft", "go/train"}, {"go/modelling", "go/train"}} {
		_, broken := breach(i[0], i[1])
		require.False(t, broken, "%s may not import %s", i[0], i[1])
	}
}

// TestForeignImports keeps cgo and PJRT in one room each.
func TestForeignImports(t *testing.T) {
	cgo := false
	for _, p := range packages(t) {
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if i == "C" {
				require.Equal(t, "bindings/native", p.path(), "only bindings/native imports C")
				cgo = true
			}
			if strings.Contains(i, "/gopjrt") {
				require.True(t, below(p.path(), "bindings/pjrt"), "%s imports %s: only bindings/pjrt may", p.path(), i)
			}
		}
	}
	require.True(t, cgo, "go list sees no cgo: run with CGO_ENABLED=1")
}

package rules

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackages(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles)+len(p.CgoFiles) == 0 {
			continue // tests only
		}
		require.NotEmpty(t, p.Doc, "%s has no package comment", p.ImportPath)
		if p.Name != "main" {
			require.True(t, strings.HasPrefix(p.Doc, "Package "+p.Name+" "), "%s: the package comment begins %q", p.ImportPath, p.Doc)
		}
		for _, vague := range []string{"util", "utils", "common", "helper", "helpers", "misc"} {
			require.NotEqual(t, vague, p.Name, p.ImportPath)
			require.NotContains(t, strings.Split(p.path(), "/"), vague)
		}
	}
}

// sources visits every source file of the repository.
func sources(t *testing.T, visit func(path string, content []byte)) {
	t.Helper()
	kinds := []string{".go", ".h", ".cc", ".cu", ".cuh", ".c"}
	skip := []string{".git", "build", "bin", "vendor", ".cache"}
	seen := 0
	require.NoError(t, filepath.WalkDir(root(t), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if slices.Contains(skip, e.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains(kinds, filepath.Ext(path)) {
			return nil
		}
		seen++
		content, err := os.ReadFile(path)
		if err == nil {
			visit(path, content)
		}
		return err
	}))
	require.Greater(t, seen, 50)
}

// TestFileLength: a file of more than 500 lines holds more than one idea.
func TestFileLength(t *testing.T) {
	sources(t, func(path string, content []byte) {
		if lines := bytes.Count(content, []byte("\n")); lines > 500 {
			t.Errorf("%s has %d lines", path, lines)
		}
	})
}

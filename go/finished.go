package graft

import (
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
)

// Finished gives the run file of a run directory, or of the adapter in it, and
// the setting that takes what the run wrote in place of what it began with. Any
// other path is a run file itself. Paths in the file are as they were given, from
// the directory that the run was started in.
func Finished(path string) (file, setting string, err error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return path, "", nil // reading it says what is wrong
	}
	dir := filepath.Clean(path)
	if !isFile(filepath.Join(dir, resolvedFile)) && isFile(filepath.Join(dir, method.WeightsFile)) {
		dir = filepath.Dir(dir)
	}
	file = filepath.Join(dir, resolvedFile)
	if !isFile(file) {
		return "", "", failure.NoInput("%s is not there: %s is no directory of a run, nor the adapter in one; name a run file, and an adapter with --adapter", file, path)
	}
	for _, wrote := range []struct{ output, key string }{{method.Adapter, "method.init_from"}, {method.Model, "model.path"}} {
		if written := filepath.Join(dir, wrote.output); isFile(filepath.Join(written, "config.json")) || isFile(filepath.Join(written, method.WeightsFile)) {
			return file, wrote.key + "=" + written, nil
		}
	}
	return "", "", failure.NoInput("%s has neither adapter nor model: the run has not come to its end", dir)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

package graft

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
)

// provenance is run.json: what a run is made of, and, once it has ended, what it
// took.
type provenance struct {
	Identity  map[string]string `json:"identity"` // hashes of base, data and configuration
	Binary    string            `json:"binary"`   // SHA-256 of the program
	Versions  map[string]string `json:"versions"`
	Device    string            `json:"device"`
	Base      string            `json:"base"`
	Data      data.Report       `json:"data"`
	Steps     int               `json:"steps"`
	Total     int               `json:"parameters"`
	Trainable int               `json:"trainable"`

	Comparison   bool           `json:"comparison,omitempty"` // a comparison may replace it
	Planned      bindings.Plan  `json:"planned_bytes"`
	Used         *bindings.Plan `json:"used_bytes,omitempty"`
	TokensPerSec float64        `json:"tokens_per_second,omitempty"`
}

// writeProvenance writes run.json; ended is nil before the run.
func (r *Run) writeProvenance(dir string, ended *train.Result) error {
	binary, err := program()
	if err != nil {
		return err
	}
	p := provenance{
		Identity: r.identity, Binary: binary, Versions: map[string]string{"graft": Version(), "go": runtime.Version()},
		Device: r.Backend.Info(), Base: r.Base.Dir, Data: r.Data, Steps: r.Loader.Steps(),
		Total: r.BaseLen(), Trainable: r.Model.Params.TrainableLen(), Planned: r.Plan.Bytes,
		Comparison: r.comparison,
	}
	if ended != nil {
		p.Used, p.TokensPerSec = &ended.Used, ended.TokensPerSec
	}
	return writeJSON(filepath.Join(dir, runFile), p)
}

// program is the SHA-256 of the executable that runs, read when it is first asked
// for. The link of the system leads to it even where its file was replaced since.
var program = sync.OnceValues(func() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		path, err := os.Executable()
		if err != nil {
			return "", failure.IO("%w", err)
		}
		if f, err = os.Open(path); err != nil {
			return "", failure.IO("%w", err)
		}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", failure.IO("%w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// modulePath is that of graft in the build information of a program.
const modulePath = "github.com/graftlm/graft"

// Version is the version of graft in this program, or the commit it was built
// from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			return m.Version
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}

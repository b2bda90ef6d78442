// Package checkpoint keeps the state of a run so that it resumes bit for bit.
//
// A checkpoint is a directory, checkpoints/step-N, that is complete or not
// there: it is written under another name, synced and renamed, and its
// MANIFEST.json has the size and SHA-256 of each file. Which one is the latest
// is computed, never noted: the newest whose manifest verifies.
//
// The state is small because randomness has none: every random number is a
// function of the seed and the step. It is neutral to the device.
package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/safetensors"
)

// Format is the version of the files. A newer one is refused.
const Format = 1

// Configuration is the key of Identity that State.Settings spell out.
const Configuration = "configuration"

const (
	manifestFile = "MANIFEST.json"
	stateFile    = "state.json"
	tensorsFile  = "state.safetensors"
)

// State is what a run needs to go on.
type State struct {
	Step  int  `json:"step"` // optimizer steps done, skipped ones included
	Final bool `json:"final"`
	// Identity has what must be the same to resume: hashes of the
	// configuration, the base, the data.
	Identity map[string]string `json:"identity"`
	// Params lists the trainable parameters in the order of the buffers.
	Params []Param `json:"params"`
	// Skipped are the steps that were not applied because a number was not
	// finite.
	Skipped []int `json:"skipped,omitempty"`
	// Best is the lowest evaluation loss so far and its step, if there was an
	// evaluation.
	Best     float64 `json:"best,omitempty"`
	BestStep int     `json:"best_step,omitempty"`
	// EvalBefore is the evaluation loss before the first step.
	EvalBefore *finite.Number `json:"eval_before,omitempty"`
	// Settings are the keys behind the hash of the configuration, to name those
	// that differ.
	Settings map[string]string `json:"settings,omitempty"`
	// Pending is the record of the newest step, if its evaluation is still to do.
	Pending json.RawMessage `json:"pending,omitempty"`
	Sums    Sums            `json:"sums,omitzero"`

	Values []float32 `json:"-"`
	// Moments are the tensors of the optimizer, F32 or U8 with their bytes in
	// Data, under its own names.
	Moments []safetensors.Tensor `json:"-"`
	Report  []float32            `json:"-"` // with the count of applied steps
}

// Sums are what the result of a run is made of, over all of its starts.
type Sums struct {
	Tokens     int             `json:"tokens"`
	Seconds    float64         `json:"seconds"`
	Loss       finite.Number   `json:"loss"` // of the newest step
	EvalAfter  *finite.Number  `json:"eval_after,omitempty"`
	Evaluation json.RawMessage `json:"evaluation,omitempty"`
	// Used is the peak of each arena under the plan Planned.
	Planned bindings.Plan `json:"planned"`
	Used    bindings.Plan `json:"used"`
}

// Param is a trainable parameter.
type Param struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

type stateJSON struct {
	Format int `json:"format"`
	*State
}

type manifest struct {
	Format int            `json:"format"`
	Files  []manifestItem `json:"files"`
}

type manifestItem struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Store is the checkpoints directory of a run.
type Store struct {
	Dir    string
	Writer atomicfs.Writer
	Keep   int // how many to keep; at least 2
}

// Open makes the directory if need be.
func Open(dir string, keep int) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, failure.IO("%w", err)
	}
	return &Store{Dir: dir, Writer: atomicfs.Writer{FS: atomicfs.OS{}}, Keep: max(2, keep)}, nil
}

// Save writes step-N and then removes old checkpoints. extra may add files (an
// adapter); it may be nil. A checkpoint of that very state that is there and
// verifies stays as it is.
func (s *Store) Save(st *State, extra func(*atomicfs.Dir) error) (string, error) {
	path := s.Path(st.Step)
	text, err := json.MarshalIndent(stateJSON{Format, st}, "", " ")
	if err != nil {
		return "", err
	}
	if old, err := os.ReadFile(filepath.Join(path, stateFile)); err == nil && bytes.Equal(old, text) && verify(path) == nil {
		return path, nil
	}
	err = s.Writer.ReplaceDir(path, func(d *atomicfs.Dir) error {
		m := &recorder{dir: d, manifest: manifest{Format: Format}}
		if err := m.WriteFile(stateFile, text); err != nil {
			return err
		}
		tensors := append([]safetensors.Tensor{vector("values", st.Values), vector("report", st.Report)}, st.Moments...)
		if err := m.Stream(tensorsFile, func(w io.Writer) error { return safetensors.Encode(w, tensors, nil) }); err != nil {
			return err
		}
		text, err := json.MarshalIndent(m.manifest, "", " ")
		if err != nil {
			return err
		}
		if extra != nil {
			if err := extra(d); err != nil {
				return err
			}
		}
		return d.WriteFile(manifestFile, text)
	})
	if err != nil {
		return "", err
	}
	return path, s.prune(st.Step, st.BestStep)
}

// Path is the directory of a step, which need not be there.
func (s *Store) Path(step int) string { return filepath.Join(s.Dir, fmt.Sprintf("step-%d", step)) }

func vector(name string, v []float32) safetensors.Tensor {
	b := make([]byte, 4*len(v))
	safetensors.F32ToBytes(b, v)
	return safetensors.Tensor{Name: name, DType: "F32", Shape: []int{len(v)}, Data: b}
}

// recorder notes the hash of what it writes.
type recorder struct {
	dir      *atomicfs.Dir
	manifest manifest
}

func (r *recorder) WriteFile(name string, data []byte) error {
	return r.Stream(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (r *recorder) Stream(name string, write func(io.Writer) error) error {
	h, n := sha256.New(), int64(0)
	err := r.dir.Stream(name, func(w io.Writer) error {
		c := &counter{}
		defer func() { n = c.n }()
		return write(io.MultiWriter(w, h, c))
	})
	r.manifest.Files = append(r.manifest.Files, manifestItem{name, n, hex.EncodeToString(h.Sum(nil))})
	return err
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// Steps lists the checkpoints that are there, newest first, verified or not.
func (s *Store) Steps() ([]int, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, failure.IO("%w", err)
	}
	var steps []int
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "step-")); err == nil && e.IsDir() && n >= 0 {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	return steps, nil
}

// Latest reads the newest checkpoint that verifies; nil if there is none. The
// warnings say which were passed over and why.
func (s *Store) Latest() (st *State, warnings []string, err error) {
	steps, err := s.Steps()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range steps {
		st, err := Read(s.Path(n))
		if err == nil {
			return st, warnings, nil
		}
		warnings = append(warnings, fmt.Sprintf("passing over %v", err))
	}
	return nil, warnings, nil
}

// Newest reads the newest state that can be read, without its tensors and
// without verifying them; nil if there is none. It is for questions that come
// before a run opens anything.
func (s *Store) Newest() (*State, error) {
	steps, err := s.Steps()
	if err != nil {
		return nil, err
	}
	for _, n := range steps {
		if st, err := ReadHead(s.Path(n)); err == nil {
			return st, nil
		}
	}
	return nil, nil
}

// prune removes what is older than the newest Keep checkpoints that verify, but
// not the best.
func (s *Store) prune(newest, best int) error {
	if err := verify(s.Path(newest)); err != nil {
		return failure.IO("the checkpoint that was just written does not verify: %w", err)
	}
	steps, err := s.Steps()
	if err != nil {
		return err
	}
	kept := 0
	for _, n := range steps {
		if n > newest || n == best {
			continue
		}
		if kept < s.Keep {
			if verify(s.Path(n)) == nil {
				kept++
			}
			continue
		}
		if err := os.RemoveAll(s.Path(n)); err != nil {
			return failure.IO("%w", err)
		}
	}
	return nil
}

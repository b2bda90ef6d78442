package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
)

// Read reads a checkpoint directory after verifying its manifest.
func Read(dir string) (*State, error) {
	if err := verify(dir); err != nil {
		return nil, err
	}
	st, err := ReadHead(dir)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Open(filepath.Join(dir, tensorsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for name, to := range map[string]*[]float32{"values": &st.Values, "report": &st.Report} {
		info, ok := f.Info(name)
		if !ok || info.DType != safetensors.F32 {
			return nil, failure.Data("%s lacks the float32 tensor %q", filepath.Join(dir, tensorsFile), name)
		}
		raw := make([]byte, info.Bytes())
		if err := f.ReadAt(name, raw, 0); err != nil {
			return nil, err
		}
		*to = make([]float32, info.Elements())
		safetensors.BytesToF32(*to, raw)
	}
	for _, info := range f.Tensors() {
		if info.Name == "values" || info.Name == "report" {
			continue
		}
		t := safetensors.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Data: make([]byte, info.Bytes())}
		if err := f.ReadAt(t.Name, t.Data, 0); err != nil {
			return nil, err
		}
		st.Moments = append(st.Moments, t)
	}
	n := 0
	for _, p := range st.Params {
		size := 1
		for _, d := range p.Shape {
			size *= d
		}
		n += size
	}
	if n > len(st.Values) {
		return nil, failure.Data("%s: the parameters have %d elements, the buffer %d", dir, n, len(st.Values))
	}
	return st, nil
}

// ReadHead reads a checkpoint without its tensors, and without verifying it.
func ReadHead(dir string) (*State, error) {
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.NoInput("%s is no checkpoint, it has no %s; name a directory such as checkpoints/step-100", dir, stateFile)
	}
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	st := &State{}
	head := stateJSON{State: st}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, failure.Data("%s: %w", filepath.Join(dir, stateFile), err)
	}
	if st.Step < 0 {
		return nil, failure.Data("%s is at step %d", dir, st.Step)
	}
	return st, nil
}

// verify compares the files with the manifest.
func verify(dir string) error {
	path := filepath.Join(dir, manifestFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return failure.Data("%s: it is not complete: %w", dir, err)
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return failure.Data("%s: %w", path, err)
	}
	if m.Format > Format {
		return failure.Data("%s was written by a newer graft (format %d, this one reads %d)", dir, m.Format, Format)
	}
	if m.Format != Format {
		return failure.Data("%s has format %d, this graft reads %d", path, m.Format, Format)
	}
	named := map[string]bool{}
	for _, f := range m.Files {
		if filepath.Base(f.Name) != f.Name {
			return failure.Data("%s names %q, which is no plain file name", path, f.Name)
		}
		if err := f.verify(dir); err != nil {
			return err
		}
		named[f.Name] = true
	}
	for _, want := range []string{stateFile, tensorsFile} {
		if !named[want] {
			return failure.Data("%s does not list %s", path, want)
		}
	}
	return nil
}

func (i manifestItem) verify(dir string) error {
	path := filepath.Join(dir, i.Name)
	info, err := os.Lstat(path)
	if err != nil {
		return failure.Data("%s: %w", dir, err)
	}
	if !info.Mode().IsRegular() || info.Size() != i.Bytes {
		return failure.Data("%s has %d bytes, its manifest says %d: it is damaged", path, info.Size(), i.Bytes)
	}
	f, err := os.Open(path)
	if err != nil {
		return failure.IO("%w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return failure.IO("%w", err)
	}
	if hex.EncodeToString(h.Sum(nil)) != i.SHA256 {
		return failure.Data("%s does not have the SHA-256 of its manifest: it is damaged", path)
	}
	return nil
}

// Differs says what must be the same to resume and is not, with both values; of
// the configuration it names the keys, if the checkpoint has them.
func (s *State) Differs(identity, settings map[string]string) (all []string) {
	for _, k := range slices.Sorted(maps.Keys(identity)) {
		if s.Identity[k] == identity[k] {
			continue
		}
		var keys []string
		if k == Configuration && s.Settings != nil {
			keys = differing(s.Settings, settings)
		}
		if len(keys) == 0 {
			keys = []string{fmt.Sprintf("%s %s, now %s", k, short(s.Identity[k]), short(identity[k]))}
		}
		all = append(all, keys...)
	}
	return all
}

func differing(before, now map[string]string) (all []string) {
	union := maps.Clone(before)
	maps.Copy(union, now)
	for _, k := range slices.Sorted(maps.Keys(union)) {
		if before[k] != now[k] {
			all = append(all, fmt.Sprintf("%s %s, now %s", k, orNone(before[k]), orNone(now[k])))
		}
	}
	return all
}

func orNone(v string) string {
	if v == "" {
		return "not there"
	}
	return v
}

// short is the part of a hash that tells it from another.
func short(hash string) string { return orNone(hash[:min(12, len(hash))]) }

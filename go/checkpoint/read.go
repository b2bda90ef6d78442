package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
)

// Read reads a checkpoint directory after verifying its manifest.
func Read(dir string) (*State, error) {
	if err := verify(dir); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
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

// Differs names what must be the same and is not, to refuse a resume.
func (s *State) Differs(identity map[string]string) []string {
	var keys []string
	for k, v := range identity {
		if s.Identity[k] != v {
			keys = append(keys, k)
		}
	}
	return keys
}

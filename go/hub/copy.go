package hub

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
)

// Files lists the files that make up the model apart from its weights, sorted:
// every regular file of the directory itself that is neither hidden nor a
// weight file of any format.
func (m *Model) Files() ([]string, error) {
	all, err := m.list()
	return slices.DeleteFunc(all, func(name string) bool {
		return strings.HasPrefix(name, ".") || weights(name)
	}), err
}

// weights reports whether a file holds weights, or lists files that do.
func weights(name string) bool {
	switch filepath.Ext(name) {
	case ".safetensors", ".gguf", ".h5", ".msgpack", ".onnx", ".onnx_data", ".tflite", ".ot":
		return true
	}
	return pickled(name) || strings.HasSuffix(name, ".index.json")
}

// list names the regular files of the directory itself.
func (m *Model) list() ([]string, error) {
	d, err := m.root.Open(".")
	if err != nil {
		return nil, failure.IO("%s: %w", m.dir, cause(err))
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, failure.IO("%s: %w", m.dir, cause(err))
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		stat, err := m.root.Stat(name)
		return err != nil || !stat.Mode().IsRegular()
	}), nil
}

// Copy puts all Files into a directory, byte for byte, except those named: a
// tuned model keeps the tokenizer, template and licence of its base.
func (m *Model) Copy(to *atomicfs.Dir, except ...string) error {
	names, err := m.Files()
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(except, name) {
			continue
		}
		f, err := m.openFile(name)
		if err != nil {
			return failure.As(failure.ErrIO, err)
		}
		err = to.Stream(name, func(w io.Writer) error {
			_, err := io.Copy(w, f)
			return err
		})
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

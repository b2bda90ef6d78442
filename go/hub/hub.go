// Package hub reads and writes a model directory as Hugging Face lays it out:
// config.json, weights in one safetensors file or in shards with an index,
// and the files beside them. What config.json means is decided in package
// model; tokenizers and adapters have rooms of their own.
//
//	m, err := hub.Open("./Llama-3.1-8B")
//	defer m.Close()
//	dtype, shape, ok := m.Lookup("model.norm.weight")
//	err = m.ReadAt("model.norm.weight", raw, 0)
//
// A directory may be hostile. Files are opened inside it only; nothing in it
// is run, and directories that ask for that are refused, as are pickles.
package hub

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
	maxJSON    = 16 << 20 // of config.json and its like
	maxIndex   = 100_000_000
)

// Model is an open model directory. Its tensors may be read from several
// goroutines.
type Model struct {
	Config     *Object    // config.json
	Generation Generation // generation_config.json, completed from config.json
	Special    Special    // of tokenizer_config.json

	dir    string
	root   *os.Root
	shards []shard
	where  map[string]*safetensors.File
	names  []string
}

// shard is one weight file.
type shard struct {
	name string
	file *safetensors.File
}

// Open opens a model directory and checks the header of every weight file.
// Errors are of kind NoInput where something is missing and Data where
// something is wrong.
func Open(dir string) (*Model, error) { return open(dir, (*Model).open) }

// Describe opens a model directory without its weights, which need not be
// there: it has no tensors.
func Describe(dir string) (*Model, error) { return open(dir, (*Model).readConfigs) }

func open(dir string, read func(*Model) error) (*Model, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.NoInput("%s: no such model directory", dir)
	}
	if err != nil {
		return nil, failure.NoInput("%s: not a model directory: %w", dir, err)
	}
	m := &Model{dir: dir, root: root, where: map[string]*safetensors.File{}}
	if err := read(m); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Model) open() error {
	if err := m.readConfigs(); err != nil {
		return err
	}
	index, err := m.readIndex()
	if err != nil {
		return err
	}
	names := []string{singleFile}
	if index != nil {
		names = index.shards()
	}
	for _, name := range names {
		if err := m.openShard(name); err != nil {
			return err
		}
	}
	for _, name := range index.tensors() {
		home := index[name]
		at := slices.IndexFunc(m.shards, func(s shard) bool { return s.name == home })
		if m.where[name] != m.shards[at].file {
			return failure.Data("%s: %s should hold tensor %q and does not; the index and the shards are of different models", m.path(indexFile), home, name)
		}
	}
	slices.Sort(m.names)
	return nil
}

// openShard opens a weight file and enters its tensors.
func (m *Model) openShard(name string) error {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return failure.Data("%s: shard name %q must be a plain file name", m.path(indexFile), name)
	}
	f, err := m.openFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return m.missing(name)
	}
	if err != nil {
		return err
	}
	file, err := safetensors.FromFile(f, m.path(name))
	if err != nil {
		return err
	}
	m.shards = append(m.shards, shard{name, file})
	for _, t := range file.Tensors() {
		if m.where[t.Name] != nil {
			return failure.Data("%s: tensor %q is in another shard too", m.path(name), t.Name)
		}
		m.where[t.Name] = file
		m.names = append(m.names, t.Name)
	}
	return nil
}

// openFile opens a regular file of the directory. A link that leads out of the
// directory is refused; a missing file is fs.ErrNotExist.
func (m *Model) openFile(name string) (*os.File, error) {
	stat, err := m.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, failure.Data("%s: %w; a model's files must lie in its directory, copy them there (cp -rL follows links)", m.path(name), cause(err))
	}
	if !stat.Mode().IsRegular() { // asked before opening: a pipe would block
		return nil, failure.Data("%s: not a regular file", m.path(name))
	}
	f, err := m.root.Open(name)
	if err != nil {
		return nil, failure.IO("%s: %w", m.path(name), cause(err))
	}
	return f, nil
}

// missing explains the absence of a weight file.
func (m *Model) missing(name string) error {
	if name != singleFile {
		return failure.NoInput("%s: the index names this shard, and it is not there; fetch it", m.path(name))
	}
	files, err := m.list()
	if err != nil {
		return err
	}
	for _, f := range files {
		if pickled(f) {
			return failure.Data("%s: a PyTorch pickle, which can run code and is not read; convert it to safetensors", m.path(f))
		}
	}
	return failure.NoInput("%s: neither %s nor %s is there", m.dir, singleFile, indexFile)
}

func pickled(name string) bool {
	switch filepath.Ext(name) {
	case ".bin", ".pt", ".pth", ".ckpt", ".pkl":
		return true
	}
	return false
}

// ConfigJSON is config.json.
func (m *Model) ConfigJSON() []byte { return m.Config.Bytes() }

// Dir is the directory as it was given to Open.
func (m *Model) Dir() string { return m.dir }

// Names lists all tensors, sorted. The list is shared: do not change it.
func (m *Model) Names() []string { return m.names }

// Tensors describes all tensors, by name.
func (m *Model) Tensors() []safetensors.Info {
	list := make([]safetensors.Info, len(m.names))
	for i, name := range m.names {
		list[i], _ = m.Info(name)
	}
	return list
}

// Info describes a tensor, in whichever shard it lies.
func (m *Model) Info(name string) (safetensors.Info, bool) {
	f := m.where[name]
	if f == nil {
		return safetensors.Info{}, false
	}
	return f.Info(name)
}

// Lookup gives a tensor's type and shape.
func (m *Model) Lookup(name string) (safetensors.DType, []int, bool) {
	i, ok := m.Info(name)
	return i.DType, i.Shape, ok
}

// ReadAt fills dst with a tensor's bytes from offset on.
func (m *Model) ReadAt(name string, dst []byte, offset int64) error {
	f := m.where[name]
	if f == nil {
		return failure.Data("%s: no tensor %q", m.dir, name)
	}
	return f.ReadAt(name, dst, offset)
}

// Tensor gives a tensor as a stream of its bytes.
func (m *Model) Tensor(name string) (safetensors.Info, io.Reader, error) {
	i, ok := m.Info(name)
	if !ok {
		return i, nil, failure.Data("%s: no tensor %q", m.dir, name)
	}
	return i, io.NewSectionReader(reader{m, name}, 0, i.Bytes()), nil
}

// reader is one tensor as an io.ReaderAt.
type reader struct {
	m    *Model
	name string
}

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.m.ReadAt(r.name, p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close closes all files.
func (m *Model) Close() error {
	errs := []error{m.root.Close()}
	for _, s := range m.shards {
		errs = append(errs, s.file.Close())
	}
	return failure.As(failure.ErrIO, errors.Join(errs...))
}

func (m *Model) path(name string) string { return filepath.Join(m.dir, name) }

// cause strips the operation and the path that os adds to an error.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

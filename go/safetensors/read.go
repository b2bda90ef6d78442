// Package safetensors reads and writes the safetensors container: a JSON
// header and the bytes of named tensors.
//
// The reader is strict. Any file may be hostile, and the worst it can cause is
// an error that says where and why, in time and memory bounded by the size of
// its header. Data is read with pread, never mapped, so that a file truncated
// while it is read is an error and not a signal. The writer is deterministic
// and equals the reference implementation's output byte for byte. Also here:
// conversion between float32 and the two 16-bit floats (float.go). Model
// directories and shards are in package hub.
//
//	f, err := safetensors.Open("model.safetensors")
//	...
//	info, ok := f.Info("model.norm.weight")
//	err = f.ReadAt(info.Name, raw, 0)
//
// The format: https://github.com/huggingface/safetensors, its README and
// safetensors/src/tensor.rs.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// Info describes a tensor of a file: its bytes are row-major, little-endian.
type Info struct {
	Name       string
	DType      DType
	Shape      []int
	begin, end int64
}

// Describe is the Info of a tensor that lies in no file.
func Describe(name string, t DType, shape ...int) Info {
	i := Info{Name: name, DType: t, Shape: shape}
	i.end = i.Elements() * int64(t.Size())
	return i
}

// Bytes is the size of the tensor's data.
func (i Info) Bytes() int64 { return i.end - i.begin }

// Elements is the product of the shape, 1 for rank 0.
func (i Info) Elements() int64 {
	n := int64(1)
	for _, d := range i.Shape {
		n *= int64(d)
	}
	return n
}

// File is an open safetensors file. It may be read from several goroutines.
type File struct {
	name     string
	data     io.ReaderAt
	closer   io.Closer
	head     []byte
	metadata map[string]string
	tensors  []Info
	index    map[string]int
}

// Open opens a file and checks all of its header. Errors are of kind Data, or
// NoInput if it is not there.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.NoInput("%s: no such file", path)
	}
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	return FromFile(f, path)
}

// FromFile is Open for a file opened by the caller, who hands it over: it is
// closed by Close, or at once if it is refused. The name is for messages.
func FromFile(f *os.File, name string) (*File, error) {
	stat, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, failure.IO("%w", err)
	}
	if !stat.Mode().IsRegular() {
		f.Close()
		return nil, failure.Data("%s: not a regular file", name)
	}
	s, err := New(f, stat.Size(), name)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.closer = f
	return s, nil
}

// New reads from anything of a known size.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	start := make([]byte, min(size, 512))
	if err := readFull(r, start, 0); err != nil {
		return nil, failure.IO("%s: %w", name, err)
	}
	if size < 8 {
		return nil, failure.Data("%s: %s", name, cmp.Or(recognise(start), "shorter than the 8 bytes that begin a safetensors file"))
	}
	n := binary.LittleEndian.Uint64(start)
	opening := byte('{')
	if size > 8 {
		opening = start[8]
	}
	if n > uint64(size)-8 || n > MaxHeader || opening != '{' {
		if what := recognise(start); what != "" {
			return nil, failure.Data("%s: %s", name, what)
		}
	}
	if n > uint64(size)-8 {
		return nil, failure.Data("%s: header length %d exceeds file size %d; the file is truncated or is no safetensors file", name, n, size)
	}
	if n > MaxHeader {
		return nil, failure.Data("%s: header length %d exceeds the limit of %d", name, n, MaxHeader)
	}
	text := make([]byte, n)
	if err := readFull(r, text, 8); err != nil {
		return nil, failure.IO("%s: %w", name, err)
	}
	h, err := parseHeader(text, size-8-int64(n))
	if err != nil {
		return nil, failure.Data("%s: %w", name, err)
	}
	f := &File{name: name, data: r, head: append(start[:8:8], text...), metadata: h.metadata, tensors: h.tensors, index: map[string]int{}}
	for i := range f.tensors {
		f.tensors[i].begin += 8 + int64(n)
		f.tensors[i].end += 8 + int64(n)
	}
	slices.SortFunc(f.tensors, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	for i, t := range f.tensors {
		f.index[t.Name] = i
	}
	return f, nil
}

// Tensors lists the tensors by name. The list is shared: do not change it.
func (f *File) Tensors() []Info { return f.tensors }

// Info finds a tensor.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.tensors[i], true
}

// Metadata is the __metadata__ of the header, empty if there is none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Header is the first 8 bytes and the header, as they lie in the file.
func (f *File) Header() []byte { return f.head }

// ReadAt fills dst with the bytes of a tensor from offset on. Reading beyond
// the tensor's end is an error.
func (f *File) ReadAt(name string, dst []byte, offset int64) error {
	t, ok := f.Info(name)
	if !ok {
		return failure.Data("%s: no tensor %q", f.name, name)
	}
	if offset < 0 || int64(len(dst)) > t.Bytes()-offset {
		return failure.Internal("%s: tensor %q has %d bytes, asked for %d from %d on", f.name, name, t.Bytes(), len(dst), offset)
	}
	err := readFull(f.data, dst, t.begin+offset)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return failure.Data("%s: the file was truncated after it was opened", f.name)
	}
	if err != nil {
		return failure.IO("%s: %w", f.name, err)
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return failure.As(failure.ErrIO, f.closer.Close())
}

// readFull reads all of dst; an early end is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, dst []byte, offset int64) error {
	n, err := r.ReadAt(dst, offset)
	if n == len(dst) {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// recognise names what lies in a file that is no safetensors file, by its
// first bytes, or returns "".
func recognise(start []byte) string {
	has := func(prefix string) bool {
		return len(start) >= len(prefix) && strings.EqualFold(string(start[:len(prefix)]), prefix)
	}
	text := bytes.ToLower(bytes.TrimLeft(start, " \t\r\n\xef\xbb\xbf"))
	switch {
	case len(start) == 0:
		return "the file is empty"
	case has("version https://git-lfs"):
		return "this is a Git LFS pointer, not weights; fetch them with git lfs pull"
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return "this is an HTML page, not weights; the download failed"
	case has("PK\x03\x04"), len(start) > 1 && start[0] == 0x80 && start[1] <= 5:
		return "this is a PyTorch pickle, which can run code and is not read; convert it to safetensors"
	case has("GGUF"):
		return "this is a GGUF file, not safetensors"
	case has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"):
		return "this file is compressed; unpack it first"
	case has("{"):
		return "this is a JSON file, not weights"
	}
	return ""
}

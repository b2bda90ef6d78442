package data

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// MaxWeight bounds how often a source may occur in one epoch.
const MaxWeight = 1000

// Source is where records come from: Parquet, or JSONL, a JSON array, or CSV and
// TSV (told by the end of the name), these plain or compressed by gzip or zstd.
type Source struct {
	Path   string // a regular file, a glob of them, or "-" for the standard input
	Format Form
	Weight float64 // times in an epoch; 0 is 1
}

// each calls f with each record of the source and gives the blank lines.
func (s Source) each(stdin io.Reader, f func(name string, it item) error) (blank int, err error) {
	if s.Path == "-" && stdin != nil {
		return eachRecord("stdin", stdin, f)
	}
	paths, err := s.files()
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		n, err := eachOf(path, f)
		blank += n
		if err != nil {
			return blank, err
		}
	}
	return blank, nil
}

// files are those of a glob in alphabetical order; a file of that very name
// comes first.
func (s Source) files() ([]string, error) {
	if _, err := os.Lstat(s.Path); err == nil || !strings.ContainsAny(s.Path, "*?[") {
		return []string{s.Path}, nil
	}
	paths, err := filepath.Glob(s.Path)
	if err != nil {
		return nil, failure.Config("%s: %w", s.Path, err)
	}
	if len(paths) == 0 {
		return nil, failure.NoInput("no file matches %s", s.Path)
	}
	return paths, nil
}

func eachOf(path string, f func(name string, it item) error) (blank int, err error) {
	file, err := openRegular(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err == nil && string(magic) == "PAR1" {
		info, err := file.Stat()
		if err != nil {
			return 0, failure.As(failure.ErrIO, err)
		}
		return 0, eachParquetRow(path, file, info.Size(), func(it item) error { return f(path, it) })
	}
	return eachRecord(path, file, f)
}

func eachRecord(name string, in io.Reader, f func(name string, it item) error) (blank int, err error) {
	r, err := expand(name, in)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	take := func(it item) error { return f(name, it) }
	b := bufio.NewReaderSize(r, 1<<16)
	switch plain := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"); {
	case strings.HasSuffix(plain, ".csv"):
		return 0, eachRow(name, b, ',', take)
	case strings.HasSuffix(plain, ".tsv"):
		return 0, eachRow(name, b, '\t', take)
	}
	// No record is a list, so a list that opens the file holds them all.
	head, err := b.Peek(512)
	if err != nil && err != io.EOF {
		return 0, failure.As(failure.ErrIO, err)
	}
	if bytes.HasPrefix(head, []byte("PAR1")) {
		return 0, failure.Data("%s: Parquet is read from its end, so it must be a file that is not compressed further", name)
	}
	if start, ok := bytes.CutPrefix(head, bom); ok {
		head = start
		b.Discard(len(bom))
	}
	if bytes.HasPrefix(bytes.TrimSpace(head), []byte("[")) {
		return 0, eachElement(name, b, take)
	}
	return eachLine(name, b, take)
}

var bom = []byte("\ufeff")

// openRegular opens nothing that could block or never end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failure.NoInput("%s does not exist", path)
	case err != nil:
		return nil, failure.As(failure.ErrIO, err)
	case !info.Mode().IsRegular():
		return nil, failure.Data("%s is not a regular file; name a file, or - for the standard input", path)
	case info.Size() == 0:
		return nil, failure.Data("%s: no examples (the file is empty)", path)
	}
	file, err := os.Open(path)
	return file, failure.As(failure.ErrIO, err)
}

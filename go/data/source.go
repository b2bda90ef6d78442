package data

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/graftlm/graft/go/failure"
)

// MaxWeight bounds how often a source may occur in one epoch.
const MaxWeight = 1000

// Source is a file of records.
type Source struct {
	Path   string // a regular file, or "-" for the standard input
	Format Form
	Weight float64 // times in an epoch; 0 is 1
}

// each calls f with each record of the source and gives the blank lines.
func (s Source) each(stdin io.Reader, f func(name string, it item) error) (blank int, err error) {
	if s.Path == "-" && stdin != nil {
		return eachLine("stdin", stdin, func(it item) error { return f("stdin", it) })
	}
	file, err := openRegular(s.Path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return eachLine(s.Path, file, func(it item) error { return f(s.Path, it) })
}

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

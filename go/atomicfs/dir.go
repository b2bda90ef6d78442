package atomicfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/failure"
)

// Dir is a directory being filled. Its files are synced one by one as they are
// written; the directory appears under its name once all of them are.
type Dir struct {
	fs    FS
	temp  string
	final string
	subs  []string
}

// WriteDir makes the directory path with what fill puts into it: all of it, or
// nothing. It fails if path exists, and first removes what dead processes left
// beside it.
func (w Writer) WriteDir(path string, fill func(*Dir) error) error {
	path = filepath.Clean(path)
	if _, err := os.Lstat(path); err == nil {
		return failure.IO("%s already exists; remove it or choose another name", path)
	}
	d, err := w.fill(path, fill)
	if err != nil {
		return err
	}
	if err := w.publish(d.temp, path); err != nil {
		w.FS.RemoveAll(d.temp)
		return err
	}
	return nil
}

// fill makes the directory under its temporary name; after an error it is gone.
func (w Writer) fill(path string, fill func(*Dir) error) (*Dir, error) {
	if _, err := Clean(filepath.Dir(path)); err != nil {
		return nil, err
	}
	d := &Dir{fs: w.FS, temp: temporary(path), final: path}
	if err := w.FS.RemoveAll(d.temp); err != nil {
		return nil, explain("remove", d.temp, err, 0)
	}
	if err := d.complete(fill); err != nil {
		w.FS.RemoveAll(d.temp)
		return nil, err
	}
	return d, nil
}

func (d *Dir) complete(fill func(*Dir) error) error {
	if err := d.fs.Mkdir(d.temp); err != nil {
		return explain("create", d.final, err, 0)
	}
	if err := fill(d); err != nil {
		return err
	}
	for i := len(d.subs) - 1; i >= 0; i-- {
		if err := d.fs.SyncDir(filepath.Join(d.temp, d.subs[i])); err != nil {
			return explain("sync", filepath.Join(d.final, d.subs[i]), err, 0)
		}
	}
	return explain("sync", d.final, d.fs.SyncDir(d.temp), 0)
}

// Path is where the directory will appear.
func (d *Dir) Path() string { return d.final }

// WriteFile adds a file with these bytes. The name may contain slashes; the
// directories on the way are made.
func (d *Dir) WriteFile(name string, data []byte) error {
	return d.Stream(name, func(f io.Writer) error {
		_, err := f.Write(data)
		return err
	})
}

// Stream adds a file with what write writes.
func (d *Dir) Stream(name string, write func(io.Writer) error) error {
	if !filepath.IsLocal(name) {
		return failure.Internal("%q does not lie in %s", name, d.final)
	}
	if err := d.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	return Writer{d.fs}.create(filepath.Join(d.temp, name), filepath.Join(d.final, name), write)
}

// mkdir makes a subdirectory and those above it, unless they exist.
func (d *Dir) mkdir(name string) error {
	if name == "." {
		return nil
	}
	if err := d.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	err := d.fs.Mkdir(filepath.Join(d.temp, name))
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return explain("create", filepath.Join(d.final, name), err, 0)
	}
	d.subs = append(d.subs, name)
	return nil
}

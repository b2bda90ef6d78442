package atomicfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/graftlm/graft/go/failure"
)

// Writer saves through an FS. The package functions use Writer{OS{}}.
type Writer struct{ FS FS }

// WriteFile replaces path by a file with these bytes.
func WriteFile(path string, data []byte) error { return Writer{OS{}}.WriteFile(path, data) }

// Stream replaces path by a file with what write writes.
func Stream(path string, write func(io.Writer) error) error {
	return Writer{OS{}}.Stream(path, write)
}

// WriteDir makes the directory path with what fill puts into it. It fails if
// path exists, and first removes what dead processes left beside it.
func WriteDir(path string, fill func(*Dir) error) error { return Writer{OS{}}.WriteDir(path, fill) }

// WriteFile replaces path by a file with these bytes.
func (w Writer) WriteFile(path string, data []byte) error {
	return w.Stream(path, func(f io.Writer) error {
		_, err := f.Write(data)
		return err
	})
}

// Stream replaces path by a file with what write writes. After an error the
// former file is untouched, and no temporary file remains. (If only the last
// step, the sync of the parent, failed, the new file is already in place.)
func (w Writer) Stream(path string, write func(io.Writer) error) error {
	temp := temporary(path)
	// A process killed earlier can have had this one's number.
	if err := w.FS.RemoveAll(temp); err != nil {
		return explain("remove", temp, err, 0)
	}
	if err := w.create(temp, path, write); err != nil {
		w.FS.RemoveAll(temp)
		return err
	}
	if err := w.publish(temp, path); err != nil {
		w.FS.RemoveAll(temp)
		return err
	}
	return nil
}

// create writes and syncs one file called name; errors speak of shown.
func (w Writer) create(name, shown string, write func(io.Writer) error) error {
	f, err := w.FS.Create(name)
	if err != nil {
		return explain("create", shown, err, 0)
	}
	c := &counter{w: f}
	b := bufio.NewWriterSize(c, 1<<18)
	err = write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		w.FS.RemoveAll(name)
	}
	return explain("write", shown, err, c.n)
}

// publish gives a finished temporary file or directory its name.
func (w Writer) publish(temp, path string) error {
	if err := w.FS.Rename(temp, path); err != nil {
		return explain("rename to", path, err, 0)
	}
	parent := filepath.Dir(path)
	return explain("sync", parent, w.FS.SyncDir(parent), 0)
}

// counter counts the bytes that were to be written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

// explain makes err one of kind failure.IO, unless it has a kind; a full disk
// is told with what was needed and what is there.
func explain(verb, path string, err error, wanted int64) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *os.PathError:
		err = e.Err
	case *os.LinkError:
		err = e.Err
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return failure.IO("%s %s: %w", verb, path, err)
	}
	return failure.IO("%s %s: %w: %d bytes needed so far, %s; make room and run again", verb, path, err, wanted, free(path))
}

// free says how much room is left on the disk that path is or will be on.
func free(path string) string {
	var s syscall.Statfs_t
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if syscall.Statfs(dir, &s) == nil {
			return fmt.Sprintf("%d bytes free", int64(s.Bavail)*int64(s.Bsize))
		}
		if dir == filepath.Dir(dir) {
			return "free space unknown"
		}
	}
}

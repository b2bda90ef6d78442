package atomicfs

import (
	"os"
	"path/filepath"
)

// A directory cannot be renamed over one that has files. So the former one
// steps aside once the new one is complete; a process that ends between the two
// renames leaves it there, and Recover puts it back.

// ReplaceDir is WriteDir for a path that may be there: after an error, or a
// crash and Recover, it is the former directory or the new one, whole.
func ReplaceDir(path string, fill func(*Dir) error) error {
	return Writer{OS{}}.ReplaceDir(path, fill)
}

// Recover ends what a killed ReplaceDir of path left unfinished.
func Recover(path string) error { return Writer{OS{}}.Recover(path) }

// aside is where the directory that is replaced waits.
func aside(path string) string {
	dir, name := filepath.Split(filepath.Clean(path))
	return filepath.Join(dir, ".old-"+name)
}

// ReplaceDir makes or replaces the directory path with what fill puts into it.
func (w Writer) ReplaceDir(path string, fill func(*Dir) error) error {
	path = filepath.Clean(path)
	if err := w.Recover(path); err != nil {
		return err
	}
	d, err := w.fill(path, fill)
	if err != nil {
		return err
	}
	former := aside(path)
	if there(path) {
		if err := w.FS.Rename(path, former); err != nil {
			w.FS.RemoveAll(d.temp)
			return explain("rename to", former, err, 0)
		}
	}
	if err := w.publish(d.temp, path); err != nil {
		w.FS.RemoveAll(d.temp)
		w.Recover(path)
		return err
	}
	return explain("remove", former, w.FS.RemoveAll(former), 0)
}

// Recover puts a directory back that stepped aside, unless the new one is there.
func (w Writer) Recover(path string) error {
	former := aside(path)
	switch {
	case !there(former):
		return nil
	case there(path):
		return explain("remove", former, w.FS.RemoveAll(former), 0)
	}
	return explain("rename to", path, w.FS.Rename(former, path), 0)
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

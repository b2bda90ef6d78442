// Package faultfs makes the operations of a save fail one after another, so
// that a test visits every point at which a disk can fail:
//
//	for n := 1; ; n++ {
//		disk := &faultfs.FS{Base: atomicfs.OS{}, FailAt: n, Err: syscall.EIO}
//		err := save(atomicfs.Writer{FS: disk})
//		// ... the old state or the new one, nothing else
//		if disk.Calls() < n {
//			break // the save finished before the n-th operation
//		}
//	}
package faultfs

import "github.com/graftlm/graft/go/atomicfs"

// FS counts operations and fails the FailAt-th with Err (1 is the first). With
// Dead, every later one fails too, cleaning up included, as if the process had
// been killed there.
type FS struct {
	Base   atomicfs.FS
	FailAt int
	Err    error
	Dead   bool
	calls  int
}

// Calls is the number of operations asked for so far.
func (f *FS) Calls() int { return f.calls }

func (f *FS) fault() error {
	f.calls++
	if f.calls == f.FailAt || f.Dead && f.FailAt > 0 && f.calls > f.FailAt {
		return f.Err
	}
	return nil
}

// Create counts as one operation; so does each call on the file.
func (f *FS) Create(name string) (atomicfs.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	base, err := f.Base.Create(name)
	if err != nil {
		return nil, err
	}
	return &file{f, base}, nil
}

// Mkdir makes a directory.
func (f *FS) Mkdir(name string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Base.Mkdir(name)
}

// Rename moves a file or directory.
func (f *FS) Rename(from, to string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Base.Rename(from, to)
}

// RemoveAll deletes a tree.
func (f *FS) RemoveAll(name string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Base.RemoveAll(name)
}

// SyncDir syncs a directory.
func (f *FS) SyncDir(name string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Base.SyncDir(name)
}

type file struct {
	fs   *FS
	base atomicfs.File
}

// Write puts half of the bytes down before it fails, as a full disk does.
func (f *file) Write(p []byte) (int, error) {
	if err := f.fs.fault(); err != nil {
		n, _ := f.base.Write(p[:len(p)/2])
		return n, err
	}
	return f.base.Write(p)
}

func (f *file) Sync() error {
	if err := f.fs.fault(); err != nil {
		return err
	}
	return f.base.Sync()
}

// Close releases the file even where it reports a fault.
func (f *file) Close() error {
	fault := f.fs.fault()
	if err := f.base.Close(); fault == nil {
		return err
	}
	return fault
}

// Package atomicfs writes files and directories that are, after a crash at any
// moment, either complete or absent. Checkpoints, adapters and exported models
// go through it. Reading is not here.
//
// Everything is written under a temporary name in the same directory, synced,
// renamed, and the parent directory synced. The operating system is reached
// through FS, so that a test can fail every single operation in turn
// (package faultfs).
//
//	err := atomicfs.WriteDir("runs/x/adapter", func(d *atomicfs.Dir) error {
//		return d.WriteFile("adapter_config.json", data)
//	})
//
// A path has one writer at a time; a run holds a lock on its directory.
package atomicfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// FS is what a save asks of the operating system.
type FS interface {
	// Create makes a new file for writing; it fails if name exists.
	Create(name string) (File, error)
	Mkdir(name string) error
	Rename(from, to string) error
	// RemoveAll deletes a file or a tree; a missing one is no error.
	RemoveAll(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
}

// File is a file being written.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// OS is the operating system's file system.
type OS struct{}

// Create opens a new file with mode 0644 less the umask.
func (OS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// Mkdir makes one directory with mode 0755 less the umask.
func (OS) Mkdir(name string) error { return os.Mkdir(name, 0o755) }

// Rename moves a file or directory within one file system.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// RemoveAll deletes a file or a tree.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// SyncDir calls fsync on a directory.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// temporary is the name under which path is written: .tmp-NAME-PID beside it.
func temporary(path string) string {
	dir, name := filepath.Split(path)
	return filepath.Join(dir, fmt.Sprintf(".tmp-%s-%d", name, os.Getpid()))
}

// Clean removes from dir what processes that no longer live left behind when
// they were killed during a save, and returns the names. A missing dir is no
// error.
func Clean(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("read", dir, err, 0)
	}
	var removed []string
	for _, e := range entries {
		if !leftover(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if err := os.RemoveAll(path); err != nil {
			return removed, explain("remove", path, err, 0)
		}
		removed = append(removed, e.Name())
	}
	return removed, nil
}

// leftover reports whether a name is a temporary one of a dead process.
func leftover(name string) bool {
	i := strings.LastIndexByte(name, '-')
	if !strings.HasPrefix(name, ".tmp-") || i < len(".tmp-") {
		return false
	}
	pid, err := strconv.Atoi(name[i+1:])
	if err != nil || pid <= 0 || pid == os.Getpid() {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	err = p.Signal(syscall.Signal(0))
	return err != nil && !errors.Is(err, syscall.EPERM)
}

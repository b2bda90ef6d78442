package atomicfs_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/atomicfs/faultfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyFault runs save with the first, second, … operation failing, until it
// finishes, and returns the number of points visited.
func everyFault(t *testing.T, cause error, dead bool, save func(n int, w atomicfs.Writer) error, check func(n int, err error)) int {
	for n := 1; n < 1000; n++ {
		disk := &faultfs.FS{Base: atomicfs.OS{}, FailAt: n, Err: cause, Dead: dead}
		err := save(n, atomicfs.Writer{FS: disk})
		if disk.Calls() < n {
			require.NoError(t, err)
			return n - 1
		}
		check(n, err)
	}
	t.Fatal("the save never finished")
	return 0
}

func TestFileIsOldOrNew(t *testing.T) {
	for _, dead := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "state.json")
		old, fresh := strings.Repeat("old ", 1000), strings.Repeat("fresh ", 1000)
		points := everyFault(t, syscall.EIO, dead,
			func(_ int, w atomicfs.Writer) error {
				require.NoError(t, os.WriteFile(path, []byte(old), 0o644))
				return w.WriteFile(path, []byte(fresh))
			},
			func(n int, err error) {
				require.ErrorIs(t, err, failure.ErrIO, "operation %d", n)
				require.ErrorIs(t, err, syscall.EIO)
				got, _ := os.ReadFile(path)
				require.Contains(t, []string{old, fresh}, string(got), "operation %d", n)
				if !dead {
					require.Len(t, names(t, filepath.Dir(path)), 1, "operation %d left something behind", n)
				}
			})
		assert.Equal(t, 7, points, "remove, create, write, sync, close, rename, sync of the parent")
	}
}

func TestDirIsWholeOrAbsent(t *testing.T) {
	for _, dead := range []bool{false, true} {
		parent := t.TempDir()
		whole := map[string]string{"a.json": "one", "b.bin": strings.Repeat("two", 1<<18), "sub/deep/c": "three"}
		points := everyFault(t, syscall.EIO, dead,
			func(n int, w atomicfs.Writer) error {
				return w.WriteDir(filepath.Join(parent, fmt.Sprint("step-", n)), func(d *atomicfs.Dir) error {
					for _, name := range []string{"a.json", "b.bin", "sub/deep/c"} {
						if err := d.WriteFile(name, []byte(whole[name])); err != nil {
							return err
						}
					}
					return nil
				})
			},
			func(n int, err error) {
				require.ErrorIs(t, err, failure.ErrIO, "operation %d", n)
				final := filepath.Join(parent, fmt.Sprint("step-", n))
				if _, err := os.Stat(final); err == nil {
					for name, want := range whole {
						got, err := os.ReadFile(filepath.Join(final, name))
						require.NoError(t, err, "operation %d", n)
						require.Equal(t, want, string(got))
					}
				}
				if !dead {
					for _, name := range names(t, parent) {
						require.NotContains(t, name, ".tmp-", "operation %d", n)
					}
				}
			})
		assert.GreaterOrEqual(t, points, 20)
	}
}

func TestDirRefusesToReplace(t *testing.T) {
	final := filepath.Join(t.TempDir(), "adapter")
	fill := func(d *atomicfs.Dir) error { return d.WriteFile("x", nil) }
	require.NoError(t, atomicfs.WriteDir(final, fill))
	assert.ErrorContains(t, atomicfs.WriteDir(final, fill), "already exists")
	assert.Error(t, atomicfs.WriteDir(final+"2", func(d *atomicfs.Dir) error { return d.WriteFile("../x", nil) }))
}

func TestFailingCallerLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	own := failure.Data("tensor 3 is not finite")
	err := atomicfs.WriteDir(filepath.Join(parent, "adapter"), func(d *atomicfs.Dir) error {
		require.NoError(t, d.WriteFile("x", []byte("y")))
		return own
	})
	assert.Equal(t, own, err)
	err = atomicfs.Stream(filepath.Join(parent, "x"), func(io.Writer) error { return own })
	assert.ErrorIs(t, err, failure.ErrData, "the caller's kind is kept")
	assert.Empty(t, names(t, parent))
}

// /dev/full answers every write as a full disk does.
type fullDisk struct{ atomicfs.OS }

func (fullDisk) Create(string) (atomicfs.File, error) {
	return os.OpenFile("/dev/full", os.O_WRONLY, 0)
}

func TestFullDiskSaysNeedAndHave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	err := atomicfs.Writer{FS: fullDisk{}}.WriteFile(path, make([]byte, 4096))
	require.ErrorIs(t, err, failure.ErrIO)
	assert.True(t, errors.Is(err, syscall.ENOSPC))
	assert.Regexp(t, `^write .*w\.safetensors: no space left on device: 4096 bytes needed so far, \d+ bytes free; make room`, err.Error())
}

func TestCleanSparesTheLiving(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command("true")
	require.NoError(t, child.Run())
	dead := fmt.Sprintf(".tmp-step-7-%d", child.Process.Pid)
	alive := fmt.Sprintf(".tmp-step-8-%d", os.Getppid())
	for _, name := range []string{dead, alive, ".tmp-notes", "step-7"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	removed, err := atomicfs.Clean(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{dead}, removed)
	assert.ElementsMatch(t, []string{alive, ".tmp-notes", "step-7"}, names(t, dir))
	_, err = atomicfs.Clean(filepath.Join(dir, "absent"))
	assert.NoError(t, err)
}

func names(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

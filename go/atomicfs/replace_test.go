package atomicfs_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReplacedDirIsOldOrNew: whichever operation fails, or is the last before a
// kill, one of the two directories is there, whole.
func TestReplacedDirIsOldOrNew(t *testing.T) {
	for _, dead := range []bool{false, true} {
		var path string
		seen := map[string]int{}
		points := everyFault(t, syscall.ENOSPC, dead,
			func(_ int, w atomicfs.Writer) error {
				path = filepath.Join(t.TempDir(), "adapter")
				require.NoError(t, os.Mkdir(path, 0o755))
				for _, name := range []string{"a", "b"} {
					require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte("old"), 0o644))
				}
				return w.ReplaceDir(path, func(d *atomicfs.Dir) error {
					if err := d.WriteFile("a", []byte("new")); err != nil {
						return err
					}
					return d.WriteFile("b", []byte("new"))
				})
			},
			func(n int, err error) {
				require.ErrorIs(t, err, failure.ErrIO, "operation %d", n)
				if dead {
					require.NoError(t, atomicfs.Recover(path))
				}
				a, err := os.ReadFile(filepath.Join(path, "a"))
				require.NoError(t, err, "operation %d", n)
				b, err := os.ReadFile(filepath.Join(path, "b"))
				require.NoError(t, err, "operation %d", n)
				require.Equal(t, string(a), string(b), "operation %d", n)
				seen[string(a)]++
			})
		assert.Greater(t, points, 12)
		assert.Positive(t, seen["old"])
		assert.Positive(t, seen["new"])
		got, err := os.ReadFile(filepath.Join(path, "b"))
		require.NoError(t, err)
		assert.Equal(t, "new", string(got), "without a fault")
		assert.Equal(t, []string{"adapter"}, names(t, filepath.Dir(path)))
	}
}

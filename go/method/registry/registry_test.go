package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/method"
)

// TestEveryTypeHasAMethod: what a run file may ask for is what there is.
func TestEveryTypeHasAMethod(t *testing.T) {
	var types []string
	for _, k := range config.Keys() {
		if k.Path == "method.type" {
			types = strings.Split(k.Allowed, ", ")
		}
	}
	require.Subset(t, types, Names())
	for _, name := range types {
		c, err := config.Parse("run.yaml", []byte("method: {type: "+name+"}"), nil)
		require.NoError(t, err)
		m, err := New(c.Method, method.Base{Dir: "base"})
		require.NoError(t, err)
		require.Equal(t, c.Method.Kind(), m.Name())
		require.Contains(t, []string{method.Adapter, method.Model}, m.Output())
	}
	_, err := New(config.Method{Type: "absent"}, method.Base{})
	require.ErrorIs(t, err, failure.ErrConfig)
}

// TestReadSaysWhatItDoesNotKnow: an adapter of another type, or none.
func TestReadSaysWhatItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	_, err := Read(dir)
	require.ErrorIs(t, err, failure.ErrNoInput)
	for text, want := range map[string]string{
		`{"peft_type": "VERA"}`: `peft_type is "VERA", want`,
		`{}`:                    `peft_type is "", want`,
		`{`:                     "unexpected end",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, method.ConfigFile), []byte(text), 0o644))
		_, err = Read(dir)
		require.ErrorIs(t, err, failure.ErrData)
		require.ErrorContains(t, err, want)
	}
}

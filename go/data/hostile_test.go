package data_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHostileRecords: files made to fill the memory end in an error of data,
// and what they made the program allocate in all is bounded.
func TestHostileRecords(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	pack := func(content string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(content))
		require.NoError(t, z.Close())
		return b.String()
	}
	parquet, err := os.ReadFile("testdata/records.parquet")
	require.NoError(t, err)
	footer := bytes.Clone(parquet)
	binary.LittleEndian.PutUint32(footer[len(footer)-8:], 1<<31)
	for name, content := range map[string]string{
		"deep.jsonl":      `{"messages": ` + many("[", 1<<20),
		"deep object":     many(`{"text":`, 1<<18),
		"deep array.json": "[" + many("[", 1<<20),
		"endless.json":    "[" + many(`{"text":"`, 1),
		"numbers.jsonl":   `{"input_ids": [` + many("9", 1<<20) + `]}`,
		"exponent.jsonl":  `{"input_ids": [1e999999999]}`,
		"keys.jsonl":      `{` + many(`"k":1,`, 1<<17) + `"x":1}`,
		"turns.jsonl":     `{"messages": [` + many(`{"role":"user","content":"a"},`, 1<<15) + `1]}`,
		"quote.csv":       "text\n\"" + many("a\n", 1<<21),
		"columns.csv":     many("a,", 1<<20) + "b\n1\n",
		"bomb.jsonl.gz":   pack(many("a", 64<<20)),
		"bombs.csv.gz":    pack(pack(many("\x00", 32<<20))),
		"footer.parquet":  string(footer),
		"nested.parquet":  "PAR1" + many("\x1c", 1<<20) + "\x00\x00\x10\x00PAR1",
		"cut.parquet":     string(parquet[:len(parquet)/2]),
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		bounded.Run(t, 512, func() {
			_, _, err := data.Load(context.Background(), data.Options{Sources: []data.Source{{Path: path}}, Encoder: encoder(t)})
			assert.ErrorIs(t, err, failure.ErrData, name)
		})
	}
}

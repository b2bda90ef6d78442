package data

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// record asserts that what a source calls a record is a JSON object or array
// that is whole, or is bad in itself.
func record(t *testing.T, it item) error {
	if it.err != nil {
		require.ErrorIs(t, it.err, failure.ErrData)
		return nil
	}
	_, err := ParseRecord(it.json, Auto)
	if err != nil {
		require.ErrorIs(t, err, failure.ErrData)
	}
	return nil
}

// expandedLimit is how many MiB a file may make a reader allocate: the window
// of zstd, which its header may ask for, and some hundred times what it may
// expand to.
func expandedLimit(content []byte) uint64 {
	return (zstdWindow + 100*(freeExpanded+maxExpansion*uint64(len(content)))) >> 20
}

func fuzzSource(f *testing.F, end string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(seed))
		z.Close()
		f.Add(b.Bytes())
		packer, err := zstd.NewWriter(nil)
		require.NoError(f, err)
		f.Add(packer.EncodeAll([]byte(seed), nil))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		bounded.Run(t, expandedLimit(content), func() {
			_, err := eachRecord("fuzz"+end, bytes.NewReader(content), func(_ string, it item) error { return record(t, it) })
			if err != nil {
				require.ErrorIs(t, err, failure.ErrData)
			}
		})
	})
}

func FuzzJSONL(f *testing.F) {
	fuzzSource(f, ".jsonl", "{\"text\":\"a\"}\n\n{\"text\":\"é\"}\r\n", "\ufeff[{\"text\":\"a\"},\n {\"input_ids\":[1,2]}]", "[", "[{}]x", "{\"text\":\"\\ud800\"}", "\x28\xb5\x2f\xfd")
}

func FuzzCSV(f *testing.F) {
	fuzzSource(f, ".csv", "prompt,completion\na,b\n\"x\n\"\"y\",z\n", "text\n\n\xff\n", "a,a\n1,2\n", "\ufefftext,label\nx,0\n", "text\n\"")
}

// FuzzParquet asserts that no file makes more than an error, or more than the
// records that its pages may hold.
func FuzzParquet(f *testing.F) {
	files, err := filepath.Glob("testdata/*.parquet")
	require.NoError(f, err)
	require.Len(f, files, 3)
	for _, path := range files {
		content, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		bounded.Run(t, 1024, func() { parquetRows(t, content) })
	})
}

func parquetRows(t *testing.T, content []byte) {
	records := 0
	err := eachParquetRow("fuzz", bytes.NewReader(content), int64(len(content)), func(it item) error {
		if records++; records > 1000 {
			return failure.Data("enough")
		}
		if it.err == nil {
			require.True(t, json.Valid(it.json), "%s", it.json)
		}
		return record(t, it)
	})
	if err != nil {
		require.ErrorIs(t, err, failure.ErrData)
	}
}

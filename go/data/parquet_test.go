package data

import (
	"bufio"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rowsOf are the records of a file as JSON.
func rowsOf(t *testing.T, path string) (rows []string) {
	t.Helper()
	_, err := eachOf(path, func(name string, it item) error {
		require.NoError(t, it.err)
		assert.Equal(t, len(rows)+1, it.line)
		rows = append(rows, string(it.json))
		return nil
	})
	require.NoError(t, err, path)
	return rows
}

// The files are by pyarrow; see testdata/make_parquet.py.
func TestParquetGivesTheRecordsOfJSONL(t *testing.T) {
	file, err := os.Open("testdata/records.jsonl")
	require.NoError(t, err)
	defer file.Close()
	var want []string
	for s := bufio.NewScanner(file); s.Scan(); {
		want = append(want, s.Text())
	}
	require.Len(t, want, 120)
	for _, path := range []string{"testdata/records.parquet", "testdata/records-zstd.parquet"} {
		got := rowsOf(t, path)
		require.Len(t, got, len(want))
		for i := range want {
			require.JSONEq(t, want[i], got[i])
		}
	}
	assert.Equal(t, []string{
		`{"input_ids":[1,2,3],"labels":[-100,2,3],"score":0.5,"n":1,"good":true,"map":{"a":1}}`,
		`{"input_ids":[4],"labels":[4],"n":9223372036854775808,"good":false,"map":{}}`,
		`{"input_ids":[5,6],"labels":[-100,6],"score":1.5,"n":3}`,
	}, rowsOf(t, "testdata/tokens.parquet"))
}

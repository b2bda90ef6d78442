package data_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func gzipped(t *testing.T, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func zstded(t *testing.T, s string) string {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return string(w.EncodeAll([]byte(s), nil))
}

// texts loads one file and gives the text and line of each row.
func texts(t *testing.T, name, content string) (texts []string, lines []int, err error) {
	rows, _, err := load(t, "", func(o *data.Options) { o.Sources[0].Path = write(t, name, content) })
	if err != nil {
		return nil, nil, err
	}
	for i := range rows.Len() {
		row := get(rows.Row(i))
		texts, lines = append(texts, marked(row.IDs, row.Labels)), append(lines, row.Line)
	}
	return texts, lines, nil
}

func TestEverySourceGivesTheSameRows(t *testing.T) {
	const jsonl = "{\"prompt\":\"a, \\\"b\\\"\",\"completion\":\"é\\n<\"}\n{\"prompt\":\"\",\"completion\":\"c\"}\n"
	const array = "\ufeff\n [{\"prompt\":\"a, \\\"b\\\"\",\n\"completion\":\"é\\n<\"} ,\n\n{\"prompt\":\"\",\"completion\":\"c\"}]\n"
	const table = "\ufeffprompt,completion\n\"a, \"\"b\"\"\",\"é\n<\"\n,c\n"
	for _, c := range []struct {
		name, content string
		lines         []int
	}{
		{"a.jsonl", jsonl, []int{1, 2}}, {"a.json", array, []int{2, 5}}, {"a.csv", table, []int{2, 4}},
		{"a.tsv", "prompt\tcompletion\n\"a, \"\"b\"\"\"\t\"é\n<\"\n\tc\n", []int{2, 4}},
		{"a.jsonl.gz", gzipped(t, jsonl), []int{1, 2}}, {"a.csv.zst", zstded(t, table), []int{2, 4}},
		{"a.json", zstded(t, array), []int{2, 5}},
	} {
		got, lines, err := texts(t, c.name, c.content)
		require.NoError(t, err, c.name)
		assert.Equal(t, []string{"<s>a, \"b\"[é\n<</s>]", "<s>[c</s>]"}, got, c.name)
		assert.Equal(t, c.lines, lines, c.name)
	}
}

func TestDamagedSources(t *testing.T) {
	whole := gzipped(t, strings.Repeat("{\"text\":\"abc\"}\n", 100))
	for _, c := range []struct{ name, content, want string }{
		{"a.json", "[{\"text\":\"a\"},\n{\"text\":]", "a.json:2: invalid JSON"},
		{"a.json", "[{\"text\":\"a\"}", "does not end"},
		{"a.json", "[{\"text\":\"a\"}]\n{}", "a.json:2: more after the end"},
		{"a.json", "[{\"text\":\"a\"},\n{\"text\":\"\xff\"}]", "a.json:2: invalid UTF-8"},
		{"a.csv", "text\nabc\n\"x", "a.csv:3"},
		{"a.csv", "text,b\nabc\n", "a.csv:2: 1 fields; expected 2"},
		{"a.csv", "text\na\xff\n", "a.csv:2: invalid UTF-8 in column \"text\""},
		{"a.csv", "\n", "no examples"},
		{"a.gz", whole[:len(whole)/2], "damaged compressed data"},
		{"a.zst", zstded(t, "{\"text\":\"abc\"}")[:9], "damaged compressed data"},
		{"a.zst", zstded(t, strings.Repeat(" ", 8<<20)), "expands over 1000:1"},
	} {
		_, _, err := texts(t, c.name, c.content)
		require.Error(t, err, c.want)
		assert.Contains(t, err.Error(), c.want)
		assert.ErrorIs(t, err, failure.ErrData)
	}
}

func TestGlobsPipesAndStdin(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b.jsonl": "b", "a.jsonl": "a"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(`{"text":"`+text+`"}`), 0o644))
	}
	from := func(path string) func(*data.Options) {
		return func(o *data.Options) {
			o.Sources[0].Path, o.Stdin = path, strings.NewReader(`{"text":"in"}`)
		}
	}
	rows, _, err := load(t, "", from(filepath.Join(dir, "*.jsonl")))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "a.jsonl"), get(rows.Row(0)).Source)
	assert.Equal(t, filepath.Join(dir, "b.jsonl"), get(rows.Row(1)).Source)
	rows, _, err = load(t, "", from("-"))
	require.NoError(t, err)
	assert.Equal(t, "stdin", get(rows.Row(0)).Source)
	_, _, err = load(t, "", from(filepath.Join(dir, "*.txt")))
	assert.ErrorIs(t, err, failure.ErrNoInput)
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, _, err = load(t, "", from(pipe))
	assert.ErrorContains(t, err, "not a regular file")
}

func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{
		`{"text":"a"}`, `{"prompt":"a","completion":"b"}`, `{"instruction":"a","input":"b","output":"c"}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","tool_calls":[]}],"tools":[]}`,
		`{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`, `{"input_ids":[1,2],"labels":[-100,2]}`,
		`{"text":"a","label":[1,"b"]}`, `{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]}`,
		`{"chosen":"a","rejected":["b"]}`, `{"text":"\ud83d\ude00\ud800"}`, `[`, `nul`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	e := data.Encoder{Tokenizer: bytesTokenizer{special}, EOS: "</s>"}
	f.Fuzz(func(t *testing.T, record []byte) {
		bounded.Run(t, 16+uint64(len(record))>>10, func() {
			r, err := data.ParseRecord(record, data.Auto)
			if err != nil {
				assert.ErrorIs(t, err, failure.ErrData)
				return
			}
			out, err := e.Encode(r)
			if err != nil {
				return
			}
			assert.Len(t, out.Labels, len(out.IDs))
			assert.Positive(t, out.Targets())
			assert.Equal(t, int32(data.Masked), out.Labels[0])
		})
	})
}

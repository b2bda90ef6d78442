package data

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// get is a value that must be there.
func get[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// cachedOptions are of a file of two records.
func cachedOptions(t *testing.T) Options {
	t.Helper()
	tok, err := tokenizer.Load("testdata/tokenizer.json")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{\"text\":\"the river\"}\n\n{\"prompt\":\"the\",\"completion\":\" boat\"}\n"), 0o600))
	return Options{Sources: []Source{{Path: path}}, Encoder: Encoder{Tokenizer: tok, EOS: "</s>"}, Cache: filepath.Join(t.TempDir(), "c"), CacheKey: "k"}
}

func TestCacheGivesTheSameRows(t *testing.T) {
	o := cachedOptions(t)
	first, report, err := Load(context.Background(), o)
	require.NoError(t, err)
	dir, ok := strings.CutPrefix(report.Cache, "written ")
	require.True(t, ok, report.Cache)
	second, again, err := Load(context.Background(), o)
	require.NoError(t, err)
	require.Equal(t, "read "+dir, again.Cache)
	require.Equal(t, first.Len(), second.Len())
	for i := range first.Len() {
		assert.Equal(t, get(first.Row(i)), get(second.Row(i)))
	}
	assert.Equal(t, first.Stats(), second.Stats())
	assert.Equal(t, first.Fingerprint(), second.Fingerprint())
	report.Cache, again.Cache = "", ""
	report.UnknownRoles = nil
	assert.Equal(t, report, again)
	require.NoError(t, second.Close())

	// A damaged entry is not used, and is replaced.
	for _, name := range []string{"rows.bin", "tokens.bin", "index.json"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		content[len(content)/2] ^= 1
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		rows, report, err := Load(context.Background(), o)
		require.NoError(t, err)
		assert.Equal(t, "written "+dir, report.Cache, name)
		assert.Equal(t, first.Fingerprint(), rows.Fingerprint())
	}
}

// Whatever changes the rows changes the key.
func TestCacheKnowsEverythingThatMatters(t *testing.T) {
	o := cachedOptions(t)
	seen := map[string]string{}
	key := func(name string, o Options) {
		k, _, err := o.key(context.Background())
		require.NoError(t, err)
		assert.Empty(t, seen[k], "%s is as %s", name, seen[k])
		seen[k] = name
	}
	key("nothing", o)
	for name, change := range map[string]func(*Options){
		"tokenizer or template": func(o *Options) { o.CacheKey = "other" },
		"train_on":              func(o *Options) { o.Encoder.TrainOn = TrainAll },
		"eos":                   func(o *Options) { o.Encoder.EOS = "" },
		"tokens of the chat":    func(o *Options) { o.Encoder.Chat.Tokens = map[string]string{"eos_token": "x"} },
		"max_seq_length":        func(o *Options) { o.MaxSeqLength = 9 },
		"on_overflow":           func(o *Options) { o.OnOverflow = "split" },
		"on_error":              func(o *Options) { o.OnError = "skip" },
		"ends":                  func(o *Options) { o.Ends = []int32{3} },
		"format":                func(o *Options) { o.Sources[0].Format = Text },
		"weight":                func(o *Options) { o.Sources[0].Weight = 2 },
		"another source":        func(o *Options) { o.Sources = append(o.Sources, o.Sources[0]) },
	} {
		changed := o
		changed.Sources = append([]Source(nil), o.Sources...)
		change(&changed)
		key(name, changed)
	}
	file, err := os.OpenFile(o.Sources[0].Path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("T"), 9) // the same size
	require.NoError(t, err)
	require.NoError(t, file.Close())
	key("content", o)
}

func TestTrimKeepsWhatWasUsedLast(t *testing.T) {
	cache := t.TempDir()
	var dirs []string
	for i := range 3 {
		dir := filepath.Join(cache, strings.Repeat(string(rune('a'+i)), 64))
		dirs = append(dirs, dir)
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokens.bin"), make([]byte, 100), 0o600))
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		require.NoError(t, os.Chtimes(dir, used, used))
	}
	require.NoError(t, os.Mkdir(filepath.Join(cache, "mine"), 0o700))
	trim(cache, dirs[2], 250)
	for i, gone := range []bool{true, false, false} {
		_, err := os.Stat(dirs[i])
		assert.Equal(t, gone, os.IsNotExist(err), dirs[i])
	}
	trim(cache, dirs[0], 50)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 1)
	assert.Equal(t, "mine", left[0].Name())
}

// Rows are the same from memory and from a file.
func TestRowsBeyondMemory(t *testing.T) {
	small, large := newRows(), newRows()
	long := make([]int32, 1000)
	large.tokens.room = 3500
	large.begin(1)
	small.begin(1)
	for i := range 7 {
		labels := make([]int32, len(long))
		for k := range long {
			long[k] = int32(k*i) & 0xffff
			labels[k] = Masked
			if k%(i+2) == 0 {
				labels[k] = long[k]
			}
		}
		n := len(long) - i
		require.NoError(t, large.add(Row{IDs: long[:n], Labels: labels[:n], Source: "a", Line: i}))
		require.NoError(t, small.add(Row{IDs: long[:5], Labels: labels[:5], Source: "a", Line: i}))
	}
	require.NoError(t, large.tokens.finish())
	require.NoError(t, small.tokens.finish())
	require.NotNil(t, large.tokens.file)
	require.Nil(t, small.tokens.file)
	require.Empty(t, large.tokens.memory)
	for i := range 7 {
		whole, part := get(large.Row(i)), get(small.Row(i))
		assert.Equal(t, part.IDs, whole.IDs[:5])
		assert.Equal(t, part.Labels, whole.Labels[:5])
		assert.Len(t, whole.IDs, len(long)-i)
	}
	require.NoError(t, large.Close())
	_, err := large.Row(0)
	require.ErrorIs(t, err, failure.ErrIO, "the file is gone")
	l, err := NewLoader(large, LoaderOptions{MicroBatchSize: 1, Accumulation: 1, Epochs: 1})
	require.NoError(t, err)
	_, err = l.Step(0)
	require.ErrorIs(t, err, failure.ErrIO)
}

// TestCacheOfLabels: rows with labels come from the cache with them, and a
// damaged list of labels is not used.
func TestCacheOfLabels(t *testing.T) {
	o := cachedOptions(t)
	o.Encoder.Labelled = true
	text := `{"text":"the river","label":"wet"}` + "\n" + `{"text":"the boat","labels":["dry","wet"]}` + "\n" + `{"text":"the sea","label":-1}` + "\n"
	require.NoError(t, os.WriteFile(o.Sources[0].Path, []byte(text), 0o600))
	first, report, err := Load(context.Background(), o)
	require.NoError(t, err)
	dir, ok := strings.CutPrefix(report.Cache, "written ")
	require.True(t, ok, report.Cache)
	second, again, err := Load(context.Background(), o)
	require.NoError(t, err)
	require.Equal(t, "read "+dir, again.Cache)
	require.Len(t, second.labels, 3)
	assert.Equal(t, first.labels, second.labels)
	labels := Labels{Task: MultiLabel, Names: []string{"dry", "wet"}}
	first.index, second.index = first.index[:2], second.index[:2]
	require.NoError(t, first.Use(labels))
	require.NoError(t, second.Use(labels))
	assert.Equal(t, get(first.Row(1)), get(second.Row(1)))
	assert.Equal(t, first.Fingerprint(), second.Fingerprint())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "labels.json"), []byte(`[]`), 0o600))
	_, again, err = Load(context.Background(), o)
	require.NoError(t, err)
	assert.Equal(t, "written "+dir, again.Cache)
	require.NoError(t, os.Remove(filepath.Join(dir, "labels.json")))
	_, again, err = Load(context.Background(), o)
	require.NoError(t, err)
	assert.Equal(t, "written "+dir, again.Cache)
}

func TestSplitTrainsEveryTargetOnce(t *testing.T) {
	o := cachedOptions(t)
	text := "{\"prompt\":\"the river runs down to the sea and the boat\",\"completion\":\" follows it and the boat runs to the sea and down\"}\n"
	require.NoError(t, os.WriteFile(o.Sources[0].Path, []byte(text), 0o600))
	whole, report, err := Load(context.Background(), o)
	require.NoError(t, err)
	for _, limit := range []int{2, 3, 5, 8} {
		o.MaxSeqLength, o.OnOverflow = limit, "split"
		rows, split, err := Load(context.Background(), o)
		require.NoError(t, err)
		assert.Equal(t, 1, split.Split)
		assert.Equal(t, report.Targets, split.Targets, "limit %d", limit)
		assert.Positive(t, split.Unused)
		var targets []int32
		for i := range rows.Len() {
			row := get(rows.Row(i))
			assert.LessOrEqual(t, len(row.IDs), limit)
			for k, label := range row.Labels {
				if label != Masked {
					require.Positive(t, k)
					targets = append(targets, label)
				}
			}
		}
		var want []int32
		for _, label := range get(whole.Row(0)).Labels {
			if label != Masked {
				want = append(want, label)
			}
		}
		assert.Equal(t, want, targets)
	}
}

func TestSurveyCountsWhatLoadRefuses(t *testing.T) {
	o := cachedOptions(t)
	require.NoError(t, os.WriteFile(o.Sources[0].Path, []byte(`{"text":"the river"}
{"messages":[{"role":"robot","content":"x"}]}
{"conversations":[{"from":"alien","value":"x"}]}
{"input_ids":[1]}
{"text":"the river runs down to the sea and the boat follows it"}
{`), 0o600))
	o.MaxSeqLength = 6
	o.Decode = func(ids []int32) (string, error) {
		return o.Encoder.Tokenizer.(*tokenizer.Tokenizer).Decode(ids, false)
	}
	rows, report, err := Survey(context.Background(), o)
	require.NoError(t, err)
	assert.Equal(t, 1, rows.Len())
	assert.Equal(t, map[string]int{"robot": 1, "alien": 1}, report.UnknownRoles)
	assert.Equal(t, []int{6, 4, 1, 1, 0}, []int{report.Records, report.Skipped, report.Untrained, report.TooLong, report.NotReturned})
	assert.Len(t, report.Examples, 5)
	assert.Len(t, report.Refusals(true), 2)
	assert.Len(t, report.Refusals(false), 1)
	o.Decode = func([]int32) (string, error) { return "other", nil }
	_, report, err = Survey(context.Background(), o)
	require.NoError(t, err)
	assert.Equal(t, 2, report.NotReturned)
}

package data_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bytesTokenizer has one token a byte, one for each special text, and BOS if
// asked for special tokens.
type bytesTokenizer struct{ special []string }

func (b bytesTokenizer) Size() int { return 256 + len(b.special) }

func (b bytesTokenizer) IsSpecial(id int32) bool { return id >= 256 }

func (b bytesTokenizer) Token(id int32) (string, bool) {
	if id < 256 {
		return string(rune(id)), true
	}
	return b.special[id-256], true
}

func (b bytesTokenizer) ID(token string) (int32, bool) {
	for i, s := range b.special {
		if s == token {
			return int32(256 + i), true
		}
	}
	return 0, false
}

func (b bytesTokenizer) Encode(text string, addSpecial bool) (e tokenizer.Encoding, err error) {
	if id, ok := b.ID("<s>"); ok && addSpecial {
		e.IDs, e.Offsets = append(e.IDs, id), append(e.Offsets, tokenizer.Span{})
	}
next:
	for i := 0; i < len(text); {
		for j, s := range b.special {
			if strings.HasPrefix(text[i:], s) {
				e.IDs, e.Offsets = append(e.IDs, int32(256+j)), append(e.Offsets, tokenizer.Span{Start: i, End: i + len(s)})
				i += len(s)
				continue next
			}
		}
		e.IDs, e.Offsets = append(e.IDs, int32(text[i])), append(e.Offsets, tokenizer.Span{Start: i, End: i + 1})
		i++
	}
	return e, nil
}

var special = []string{"<s>", "</s>", "<|im_start|>", "<|im_end|>"}

func encoder(t *testing.T) data.Encoder {
	template, ok := chat.Builtin("chatml")
	require.True(t, ok)
	return data.Encoder{Tokenizer: bytesTokenizer{special}, Template: template, EOS: "</s>"}
}

// marked writes a row as text with its trained tokens in brackets.
func marked(ids, labels []int32) string {
	var b strings.Builder
	open := false
	for i, id := range ids {
		if on := labels[i] != data.Masked; on != open {
			b.WriteString(map[bool]string{true: "[", false: "]"}[on])
			open = on
		}
		if id < 256 {
			b.WriteByte(byte(id))
		} else {
			b.WriteString(special[id-256])
		}
	}
	if open {
		b.WriteString("]")
	}
	return b.String()
}

func TestMasksFollowTRL(t *testing.T) {
	const chatml = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
	const two = `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`
	for _, c := range []struct {
		on           data.TrainOn
		record, want string
	}{
		{"", `{"text":"abc"}`, "<s>[abc</s>]"},
		{"", `{"text":"abc</s>"}`, "<s>[abc</s>]"},
		{"", `{"prompt":"Q: ","completion":"A"}`, "<s>Q: [A</s>]"},
		{"all", `{"prompt":"Q: ","completion":"A"}`, "<s>[Q: A</s>]"},
		{"last", `{"prompt":"","completion":"é"}`, "<s>[é</s>]"},
		{"", `{"instruction":"Add.","output":"3"}`, "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Response:[3</s>]"},
		{"", `{"instruction":"Add.","input":"1 2","output":"3"}`, "<s>Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:[3</s>]"},
		{"", `{"input_ids":[97,98,99],"labels":[-100,-100,99]}`, "ab[c]"},
		{"", `{"input_ids":[97,98,99]}`, "a[bc]"},
		{"", `{"segments":[{"label":false,"text":"a "},{"label":true,"text":"b"},{"label":false,"text":"c"}]}`, "<s>a [b]c"},
		{"", `{"segments":[{"label":false,"text":"a "},{"label":true,"text":"b"}]}`, "<s>a [b</s>]"},
		{"", `{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"yo"}]}`, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n[yo<|im_end|>\n]"},
		{"assistant", two, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n[yo<|im_end|>\n]<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[b<|im_end|>\n]"},
		{"last", two, chatml + "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[b<|im_end|>\n]"},
		{"all", `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]}`, "<|im_start|>[user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n]"},
		{"", `{"prompt":[{"role":"user","content":"hi"}],"completion":[{"role":"assistant","content":"yo"}]}`, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n[yo<|im_end|>\n]"},
	} {
		r, err := data.ParseRecord([]byte(c.record), data.Auto)
		require.NoError(t, err, c.record)
		e := encoder(t)
		e.TrainOn = c.on
		out, err := e.Encode(r)
		require.NoError(t, err, c.record)
		assert.Equal(t, c.want, marked(out.IDs, out.Labels), "%s %s", c.on, c.record)
	}
}

func TestBadRecordsAreNamed(t *testing.T) {
	for record, want := range map[string]string{
		`{"messages":"x"}`: `"messages" must be a list`,
		`{"messages":[{"role":"user","content":"hi"}]}`:                                  "no assistant turn",
		`{"messages":[{"role":"robot","content":"hi"}]}`:                                 `"robot"; expected one of`,
		`{"messages":[{"role":"user","content":""},{"role":"assistant","content":"a"}]}`: `messages[0] (role "user") is empty`,
		`{"conversations":[{"from":"alien","value":"x"}]}`:                               `conversations[0].from is "alien"`,
		`{"conversations":[{"from":"human","value":7}]}`:                                 `"value" must be a string, got 7`,
		`{"text":["a"]}`:                  `"text" must be a string, got a list`,
		`{"text":""}`:                     `"text" is empty`,
		`{"text":"a","label":true}`:       `got a boolean`,
		`{"text":"a","label":""}`:         `"label" is empty`,
		`{"text":"a","labels":["b","b"]}`: `"labels" has "b" twice`,
		`{"prompt":"a","completion":""}`:  `"completion" is empty`,
		`{"prompt":"a","completion":[{"role":"assistant","content":"b"}]}`: `"prompt" must be a list of messages`,
		`{"chosen":"a","rejected":"a"}`:                                    "are the same",
		`{"input_ids":[1,2],"labels":[1]}`:                                 "must be as long",
		`{"input_ids":[1,-2]}`:                                             "input_ids[1] is -2",
		`{"input_ids":[1,2],"labels":[-100,3]}`:                            "labels[1] is 3",
		`{"input_ids":[9999999999]}`:                                       "no token id",
		`{"input_ids":[1,99999]}`:                                          "ids 0 to 259",
		`{"input_ids":[1]}`:                                                "no token of the record would be trained",
		`{"question":"a","answer":"b"}`:                                    `has the keys ["answer", "question"]`,
		`[1]`:                                                              "must be a JSON object, got a list",
		`null`:                                                             "got null",
		`{"text":"a",}`:                                                    "invalid JSON at byte 13",
		"{\"text\":\"a\xff\"}":                                             "invalid UTF-8 (byte 0xff) at byte 11",
		`{"text":"a\ud800b"}`:                                              "half of a surrogate pair at byte 11",
		`{"text":"a\u0000b"}`:                                              "a NUL character at byte 11",
		`{"chosen":"a","rejected":"b"}`:                                    "form preference cannot train",
		`{"prompt":"a","completion":"b","label":false}`:                    "form unpaired cannot train",
		`{"prompt":"a","chosen":[{"role":"assistant","content":"b"}],"rejected":"c"}`:                 `"rejected" must be a list of messages, got a string`,
		`{"chosen":[{"role":"alien","content":"b"}],"rejected":[{"role":"assistant","content":"c"}]}`: `"chosen": a role is "alien"`,
		`{"segments":[{"label":false,"text":"a"}]}`:                                                   "no segment has the label true",
		`{"segments":[{"label":true}]}`:                                                               `segments[0] must have "label"`,
	} {
		r, err := data.ParseRecord([]byte(record), data.Auto)
		if err == nil {
			_, err = encoder(t).Encode(r)
		}
		require.Error(t, err, record)
		assert.Contains(t, err.Error(), want)
		assert.ErrorIs(t, err, failure.ErrData)
	}
	r, err := data.ParseRecord([]byte(`{"text":"\ud83d\ude00 \\u0000"}`), data.Auto)
	require.NoError(t, err)
	assert.Equal(t, "😀 \\u0000", r.Text)
}

func TestPreferenceRecords(t *testing.T) {
	user, good, bad := `{"role":"user","content":"Q"}`, `{"role":"assistant","content":"A"}`, `{"role":"assistant","content":"B"}`
	for _, record := range []string{
		`{"chosen":[` + user + `,` + good + `],"rejected":[` + user + `,` + bad + `]}`,
		`{"prompt":[` + user + `],"chosen":[` + good + `],"rejected":[` + bad + `]}`,
	} {
		r, err := data.ParseRecord([]byte(record), data.Auto)
		require.NoError(t, err)
		require.Equal(t, data.Preference, r.Form)
		require.Len(t, r.Conversation.Messages, 1)
		assert.Equal(t, "Q", r.Conversation.Messages[0].Content)
		require.Len(t, r.ChosenTurns, 1)
		require.Len(t, r.RejectedTurns, 1)
		assert.Equal(t, "A", r.ChosenTurns[0].Content)
		assert.Equal(t, "B", r.RejectedTurns[0].Content)
	}
	r, err := data.ParseRecord([]byte(`{"prompt":"Q","chosen":"A","rejected":"B"}`), data.Auto)
	require.NoError(t, err)
	assert.Equal(t, []string{"Q", "A", "B"}, []string{r.Prompt, r.Chosen, r.Rejected})
	r, err = data.ParseRecord([]byte(`{"prompt":"Q","completion":"A","label":true}`), data.Auto)
	require.NoError(t, err)
	assert.Equal(t, data.Unpaired, r.Form)
	assert.True(t, r.Good)
	r, err = data.ParseRecord([]byte(`{"prompt":"Q","completion":"A","label":"geography"}`), data.Auto)
	require.NoError(t, err)
	assert.Equal(t, data.PromptCompletion, r.Form)
	_, err = data.ParseRecord([]byte(`{"prompt":"Q","completion":"A","label":1}`), data.Unpaired)
	assert.ErrorContains(t, err, `"label" must be true or false, got 1`)
}

// A table holds lists as text.
func TestListsInCells(t *testing.T) {
	for record, form := range map[string]data.Form{
		`{"messages":"[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"yo\"}]","tools":"[{\"name\":\"f\"}]"}`: data.Messages,
		`{"conversations":"[{\"from\":\"human\",\"value\":\"hi\"},{\"from\":\"gpt\",\"value\":\"yo\"}]"}`:                                  data.ShareGPT,
		`{"input_ids":"[1, 2]","labels":"[-100, 2]"}`:                                                                                      data.Tokens,
		`{"prompt":"[1] is a note","completion":"[2, 3]"}`:                                                                                 data.PromptCompletion,
		`{"prompt":"p","completion":"c","label":"True"}`:                                                                                   data.Unpaired,
		`{"text":"t","labels":"[\"a\",\"b\"]"}`:                                                                                            data.Classification,
	} {
		r, err := data.ParseRecord([]byte(record), data.Auto)
		require.NoError(t, err, record)
		assert.Equal(t, form, r.Form, record)
		switch form {
		case data.Messages:
			assert.Len(t, r.Conversation.Messages, 2)
			assert.Len(t, r.Conversation.Tools, 1)
		case data.PromptCompletion:
			assert.Equal(t, "[2, 3]", r.Completion)
		case data.Classification:
			assert.Equal(t, []string{"a", "b"}, r.Classes)
		}
	}
}

func write(t *testing.T, name, content string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func load(t *testing.T, content string, change func(*data.Options)) (*data.Rows, data.Report, error) {
	o := data.Options{Sources: []data.Source{{Path: write(t, "train.jsonl", content)}}, Encoder: encoder(t)}
	if change != nil {
		change(&o)
	}
	return data.Load(context.Background(), o)
}

func TestLoadCountsEverything(t *testing.T) {
	const file = "\ufeff{\"text\":\"abc\"}\n\n{\"text\":\"a\"}\r\n{\"bad\":1}\n{\"text\":\"abcdefgh\"}"
	_, _, err := load(t, file, nil)
	require.ErrorContains(t, err, "train.jsonl:4: no known form")

	rows, report, err := load(t, file, func(o *data.Options) {
		o.OnError, o.OnOverflow, o.MaxSeqLength = "skip", "truncate", 6
	})
	require.NoError(t, err)
	require.Len(t, report.Examples, 1)
	report.Examples = nil
	assert.Equal(t, data.Report{
		Records: 4, Rows: 3, Tokens: 5 + 3 + 6, Targets: 4 + 2 + 5, Longest: 10, Forms: map[data.Form]int{data.Text: 3},
		Blank: 1, Skipped: 1, Truncated: 1, EndThere: 2, EndTrained: 2, UnknownRoles: map[string]int{},
	}, report)
	row := get(rows.Row(2))
	assert.Equal(t, "<s>[abcde]", marked(row.IDs, row.Labels))
	assert.Equal(t, 5, row.Line)

	rows, report, err = load(t, file, func(o *data.Options) { o.OnError, o.OnOverflow, o.MaxSeqLength = "skip", "drop", 6 })
	require.NoError(t, err)
	assert.Equal(t, 2, rows.Len())
	assert.Equal(t, 1, report.Dropped)
}

func TestLoadRefuses(t *testing.T) {
	_, _, err := load(t, `{"text":"abcdefgh"}`, func(o *data.Options) { o.MaxSeqLength = 6 })
	assert.ErrorContains(t, err, "10 tokens are more than max_seq_length 6")
	_, _, err = load(t, `{"prompt":"abcdefgh","completion":"x"}`, func(o *data.Options) { o.MaxSeqLength, o.OnOverflow = 6, "truncate" })
	assert.ErrorContains(t, err, "1 of 1 examples keep no trained token at max_seq_length 6")
	_, _, err = load(t, "\n", nil)
	assert.ErrorContains(t, err, "no examples")
	_, _, err = load(t, "", nil)
	assert.ErrorContains(t, err, "empty")
	_, _, err = load(t, "", func(o *data.Options) { o.Sources[0].Path = t.TempDir() })
	assert.ErrorContains(t, err, "not a regular file")
	_, _, err = load(t, "", func(o *data.Options) { o.Sources[0].Path += "x" })
	assert.ErrorIs(t, err, failure.ErrNoInput)
	_, _, err = load(t, `{"text":"`+strings.Repeat("a", data.MaxLine)+`"}`, nil)
	assert.ErrorContains(t, err, "train.jsonl:1: line longer than 64 MiB")
}

func TestSplitIsAPartition(t *testing.T) {
	var file strings.Builder
	for i := range 50 {
		fmt.Fprintf(&file, "{\"text\":\"%d\"}\n", i%40)
	}
	rows, _, err := load(t, file.String(), nil)
	require.NoError(t, err)
	train, val, err := rows.Split(7, 1)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, part := range []*data.Rows{train, val} {
		for i := range part.Len() {
			assert.False(t, seen[get(part.Row(i)).Line])
			seen[get(part.Row(i)).Line] = true
		}
	}
	assert.Len(t, seen, 50)
	assert.Equal(t, 7, val.Len())
	_, again, err := rows.Split(0.14, 1)
	require.NoError(t, err)
	_, other, err := rows.Split(7, 2)
	require.NoError(t, err)
	_, none, err := rows.Split(0, 1)
	require.NoError(t, err)
	assert.Zero(t, none.Len())
	for _, bad := range []float64{-1, 1.5, 50, 0.999} {
		_, _, err := rows.Split(bad, 1)
		assert.ErrorContains(t, err, "val_set_size")
	}
	assert.Equal(t, lines(val), lines(again))
	assert.NotEqual(t, lines(val), lines(other))
	assert.Equal(t, 10, rows.Duplicates())
	assert.Equal(t, 50, rows.Overlap(rows))
}

func lines(r *data.Rows) (n []int) {
	for i := range r.Len() {
		n = append(n, get(r.Row(i)).Line)
	}
	return n
}

func TestFingerprintKnowsTheData(t *testing.T) {
	seen := map[string]string{}
	for _, file := range []string{
		`{"text":"ab"}`, `{"text":"ac"}`, `{"text":"ab"}` + "\n" + `{"text":"ab"}`,
		`{"input_ids":[1,2,3],"labels":[-100,2,3]}`, `{"input_ids":[1,2,3],"labels":[-100,-100,3]}`,
		`{"input_ids":[1,2]}` + "\n" + `{"input_ids":[3,4]}`, `{"input_ids":[1,2,3,4],"labels":[-100,2,-100,4]}`,
	} {
		rows, _, err := load(t, file, nil)
		require.NoError(t, err)
		again, _, err := load(t, "\n"+file, nil)
		require.NoError(t, err)
		assert.Equal(t, rows.Fingerprint(), again.Fingerprint())
		assert.Empty(t, seen[rows.Fingerprint()], file)
		seen[rows.Fingerprint()] = file
	}
}

func TestLoadReportsTheFirstFaultInOrder(t *testing.T) {
	var file strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&file, "{\"text\":\"%d\"}\n", i)
	}
	rows, _, err := load(t, file.String(), nil)
	require.NoError(t, err)
	for i := range rows.Len() {
		row := get(rows.Row(i))
		require.Equal(t, fmt.Sprintf("<s>[%d</s>]", i), marked(row.IDs, row.Labels))
		require.Equal(t, i+1, row.Line)
	}
	bad := strings.Replace(file.String(), "{\"text\":\"700\"}", "{", 1)
	bad = strings.Replace(bad, "{\"text\":\"710\"}", "{", 1)
	_, _, err = load(t, bad, nil)
	assert.ErrorContains(t, err, "train.jsonl:701:")
	_, _, err = load(t, "{\n"+strings.Repeat("x", data.MaxLine+1), nil)
	assert.ErrorContains(t, err, "train.jsonl:1:", "the record before the line that is too long")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = data.Load(ctx, data.Options{Sources: []data.Source{{Path: write(t, "a.jsonl", file.String())}}, Encoder: encoder(t)})
	assert.ErrorIs(t, err, context.Canceled)
}

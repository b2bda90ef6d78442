package data_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func decode(ids []int32) (string, error) {
	labels := make([]int32, len(ids))
	for i := range labels {
		labels[i] = data.Masked
	}
	return marked(ids, labels), nil
}

func TestShowMarksWhatIsTrained(t *testing.T) {
	rows, _, err := load(t, `{"prompt":"a<b","completion":" \u001b[31mé\n"}`, nil)
	require.NoError(t, err)
	shown, err := data.Show(get(rows.Row(0)), decode)
	require.NoError(t, err)
	assert.Equal(t, data.Shown{{Text: "<s>a<b", Tokens: 4}, {Text: " \x1b[31mé\n</s>", Tokens: 10, Trained: true}}, shown)
	assert.Equal(t, "<s>a<b⟦ <U+001B>[31mé\n</s>⟧", shown.Plain())
	assert.Equal(t, "<s>a<b\x1b[1;32m <U+001B>[31mé\n</s>\x1b[0m", shown.ANSI())
	assert.Equal(t, "<pre class=\"mask\">&lt;s&gt;a&lt;b<mark> &lt;U+001B&gt;[31mé\n&lt;/s&gt;</mark></pre>\n", shown.HTML())
}

func TestCheckWarnsWithCounts(t *testing.T) {
	const file = `{"text":"aa"}
{"text":"aa"}
{"text":"a <|im_end|> b</s>"}
{"text":"abcdefghijkl"}
{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"</s>"}],"tools":[{"name":"f"}]}
`
	rows, report, err := load(t, file, func(o *data.Options) { o.MaxSeqLength, o.OnOverflow = 40, "truncate" })
	require.NoError(t, err)
	c := data.CheckRows(report, rows, rows)
	assert.Equal(t, []string{
		"2 records spell a special token in their text, the first <|im_end|> at " + get(rows.Row(0)).Source + ":3: the tokenizer reads it as the token itself, as in transformers and TRL; write it otherwise if it is meant as text",
		"1 conversations have tools, which the template does not write; use one that does, as qwen3",
		"1 training rows are duplicates",
		"5 evaluation rows are also trained on",
	}, c.Warnings)
	assert.Equal(t, data.Quantiles{Min: 4, Median: 7, P90: 23, P99: 23, Max: 23}, c.Train.Lengths)
	assert.Equal(t, report.Tokens, c.Train.Tokens)
	assert.Equal(t, report.Targets, c.Train.Targets)
	assert.Contains(t, c.String(), "5 rows")

	_, report, err = load(t, file, func(o *data.Options) { o.MaxSeqLength, o.OnOverflow = 10, "truncate" })
	require.Error(t, err, "the conversation keeps no trained token")
	assert.Equal(t, 1, report.NoTarget)
}

// pairs joins two bytes into one token, so that tokens straddle.
type pairs struct{ bytesTokenizer }

func (p pairs) Encode(text string, _ bool) (e tokenizer.Encoding, err error) {
	for i := 0; i < len(text); i += 2 {
		e.IDs, e.Offsets = append(e.IDs, int32(text[i])), append(e.Offsets, tokenizer.Span{Start: i, End: min(i+2, len(text))})
	}
	return e, nil
}

func TestStraddlingTokensAreTrainedAndCounted(t *testing.T) {
	e := encoder(t)
	e.Tokenizer = pairs{bytesTokenizer{special}}
	out, err := e.Encode(data.Record{Form: data.PromptCompletion, Prompt: "abc", Completion: "def"})
	require.NoError(t, err)
	assert.Equal(t, 1, out.Straddling)
	assert.Equal(t, "a[ce</s>]", marked(out.IDs, out.Labels))
}

// The real tokenizer and the real templates agree on what the spans hold.
func TestWithATrainedTokenizer(t *testing.T) {
	texts := func(yield func(string) bool) {
		for _, s := range []string{"the answer is forty two", "what is the answer to the question", "user assistant system"} {
			if !yield(s) {
				return
			}
		}
	}
	tok, err := tokenizer.TrainBPE(t.Context(), texts, tokenizer.TrainOptions{VocabSize: 300, SpecialTokens: []string{"<|im_start|>", "<|im_end|>"}})
	require.NoError(t, err)
	e := encoder(t)
	e.Tokenizer, e.EOS = tok, "<|im_end|>"
	r, err := data.ParseRecord([]byte(`{"messages":[{"role":"user","content":"what is the answer"},{"role":"assistant","content":"forty two 😀"}]}`), data.Auto)
	require.NoError(t, err)
	out, err := e.Encode(r)
	require.NoError(t, err)
	shown, err := data.Show(data.Row{IDs: out.IDs, Labels: out.Labels}, func(ids []int32) (string, error) { return tok.Decode(ids, false) })
	require.NoError(t, err)
	assert.Equal(t, "<|im_start|>user\nwhat is the answer<|im_end|>\n<|im_start|>assistant\n⟦forty two 😀<|im_end|>\n⟧", shown.Plain())
	assert.True(t, strings.HasSuffix(out.Text, "\n"))
	assert.Zero(t, out.Straddling)
}

// TestSpecialTokensInEveryPartOfARecord: wherever text may stand, a special
// token that is spelled there is counted.
func TestSpecialTokensInEveryPartOfARecord(t *testing.T) {
	for _, record := range []string{
		`{"text":"a <|im_end|> b"}`, `{"prompt":"<|im_end|>","completion":"b"}`, `{"prompt":"a","completion":"</s> b"}`,
		`{"segments":[{"text":"a</s> c","label":false},{"text":"b","label":true}]}`,
		`{"messages":[{"role":"user","content":"<|im_start|>"},{"role":"assistant","content":"b"}]}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"<|im_start|>"}]}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":[{"name":"f","about":["<|im_start|>"]}]}`,
		`{"conversations":[{"from":"human","value":"<|im_end|>"},{"from":"gpt","value":"b"}]}`,
	} {
		_, report, err := load(t, record, nil)
		require.NoError(t, err, record)
		assert.Equal(t, 1, report.SpecialText, record)
		assert.NotEmpty(t, report.SpecialExample, record)
	}
	for _, record := range []string{`{"text":"a</s>"}`, `{"prompt":"a","completion":"b</s>"}`, `{"text":"a <|im_en d|>"}`} {
		_, report, err := load(t, record, nil)
		require.NoError(t, err, record)
		assert.Zero(t, report.SpecialText, record)
	}
}

// TestSpecialTokensAreReadAsTRLDoes: text that spells the token which ends a
// turn becomes that token, in graft (TestMasksEqualTRL compares all ids) as in
// TRL, whose ids these are.
func TestSpecialTokensAreReadAsTRLDoes(t *testing.T) {
	tok, err := tokenizer.Load("testdata/tokenizer.json")
	require.NoError(t, err)
	end, _ := tok.ID("<|im_end|>")
	seen := 0
	for _, c := range goldens(t) {
		if c.Template != "chatml" || c.Conversation != "odd characters" {
			continue
		}
		var record struct{ Messages []struct{ Content string } }
		require.NoError(t, json.Unmarshal(c.Record, &record))
		spelled := 0
		for _, m := range record.Messages {
			spelled += strings.Count(m.Content, "<|im_end|>")
		}
		require.Positive(t, spelled)
		count := 0
		for _, id := range c.IDs {
			if id == end {
				count++
			}
		}
		assert.Equal(t, len(record.Messages)+spelled, count)
		seen++
	}
	assert.Equal(t, 1, seen)
}

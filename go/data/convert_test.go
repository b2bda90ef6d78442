package data

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConvert(t *testing.T) {
	const user, answer = `{"role":"user","content":"Q<1>"}`, `{"role":"assistant","content":"A"}`
	for _, c := range []struct {
		to           Form
		record, want string
	}{
		{Messages, `{"conversations":[{"from":"human","value":"Q<1>"},{"from":"gpt","value":"A"}]}`, `{"messages":[` + user + `,` + answer + `]}`},
		{Messages, `{"instruction":"Q","input":"é","output":"A","system":"S"}`, `{"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q\n\né"},` + answer + `]}`},
		{Messages, `{"prompt":"Q<1>","completion":"A"}`, `{"messages":[` + user + `,` + answer + `]}`},
		{Messages, `{"prompt":[` + user + `],"completion":[` + answer + `],"tools":[{"name":"f"}]}`, `{"messages":[` + user + `,` + answer + `],"tools":[{"name":"f"}]}`},
		{Messages, `{"id": 7, "messages":[` + user + `,` + answer + `]}`, `{"id": 7, "messages":[` + user + `,` + answer + `]}`},
		{PromptCompletion, `{"messages":[` + user + `,` + answer + `]}`, `{"prompt":[` + "{\"content\":\"Q<1>\",\"role\":\"user\"}" + `],"completion":[{"content":"A","role":"assistant"}]}`},
		{PromptCompletion, `{"prompt":"Q","completion":"A","label":true}`, `{"prompt":"Q","completion":"A"}`},
	} {
		var out bytes.Buffer
		path := filepath.Join(t.TempDir(), "in.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(c.record+"\n"), 0o600))
		done, err := Convert(context.Background(), []Source{{Path: path}}, nil, c.to, false, &out)
		require.NoError(t, err, c.record)
		assert.Equal(t, Converted{Records: 1}, done)
		assert.Equal(t, c.want+"\n", out.String())
		_, err = ParseRecord(bytes.TrimSpace(out.Bytes()), c.to)
		assert.NoError(t, err)
	}
	var out bytes.Buffer
	in := strings.NewReader("{\"text\":\"a\"}\n{\"prompt\":\"Q\",\"completion\":\"A\"}\n")
	_, err := Convert(context.Background(), []Source{{Path: "-"}}, in, Messages, false, &out)
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, "stdin:1: a record of form text has no turns")
	in.Seek(0, 0)
	done, err := Convert(context.Background(), []Source{{Path: "-"}}, in, Messages, true, &out)
	require.NoError(t, err)
	assert.Equal(t, Converted{Records: 1, Skipped: 1}, done)
	_, err = Convert(context.Background(), nil, nil, Text, false, &out)
	assert.ErrorIs(t, err, failure.ErrUsage)
}

// What Divide holds out is what a run with the same seed holds out.
func TestDivideIsTheSplitOfARun(t *testing.T) {
	o := cachedOptions(t)
	o.Cache = ""
	var file strings.Builder
	for i := range 50 {
		file.WriteString(`{"text":"` + strings.Repeat("the ", i+1) + "\"}\n")
	}
	require.NoError(t, os.WriteFile(o.Sources[0].Path, []byte(file.String()), 0o600))
	rows, _, err := Load(context.Background(), o)
	require.NoError(t, err)
	for _, size := range []float64{0.1, 7} {
		_, held, err := rows.Split(size, 3)
		require.NoError(t, err)
		var train, val bytes.Buffer
		done, err := Divide(context.Background(), o.Sources, size, 3, &train, &val)
		require.NoError(t, err)
		assert.Equal(t, Divided{Train: 50 - held.Len(), Val: held.Len()}, done)
		lines := strings.SplitAfter(file.String(), "\n")
		want := ""
		for i := range held.Len() {
			want += lines[get(held.Row(i)).Line-1]
		}
		assert.Equal(t, want, val.String())
		assert.Equal(t, len(file.String()), train.Len()+val.Len())
	}
	_, err = Divide(context.Background(), o.Sources, 50, 3, nil, nil)
	assert.ErrorIs(t, err, failure.ErrData)
}

package tokenizer_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type fixtures struct {
	Texts []string `json:"texts"`
	Cases []struct {
		Name      string               `json:"name"`
		Tokenizer json.RawMessage      `json:"tokenizer"`
		Rows      [][4]json.RawMessage `json:"rows"`
		Pair      [2][]int32           `json:"pair"`
	} `json:"cases"`
}

func load(t testing.TB) fixtures {
	data, err := os.ReadFile("testdata/fixtures.json")
	require.NoError(t, err)
	var f fixtures
	require.NoError(t, json.Unmarshal(data, &f))
	return f
}

func TestEqualsReference(t *testing.T) {
	f := load(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := tokenizer.Parse(c.Tokenizer)
			require.NoError(t, err)
			for i, text := range f.Texts {
				var ids []int32
				var offsets []int
				var plain, clean string
				for k, v := range []any{&ids, &offsets, &plain, &clean} {
					require.NoError(t, json.Unmarshal(c.Rows[i][k], v))
				}
				e, err := tok.Encode(text, true)
				require.NoError(t, err)
				if !assert.Equal(t, ids, append([]int32{}, e.IDs...), "ids of %q", text) {
					continue
				}
				got := []int{}
				for _, o := range e.Offsets {
					got = append(got, o.Start, o.End)
				}
				assert.Equal(t, offsets, got, "offsets of %q", text)
				for skip, want := range map[bool]string{false: plain, true: clean} {
					text, err := tok.Decode(ids, skip)
					require.NoError(t, err)
					assert.Equal(t, want, text)
				}
				s, streamed := tok.Stream(false), strings.Builder{}
				for _, id := range ids {
					streamed.WriteString(s.Push(id))
				}
				streamed.WriteString(s.Flush())
				assert.Equal(t, plain, streamed.String(), "stream")
			}
			e, err := tok.EncodePair("Hello the", "world er", true)
			require.NoError(t, err)
			assert.Equal(t, c.Pair, [2][]int32{append([]int32{}, e.IDs...), append([]int32{}, e.TypeIDs...)})
		})
	}
}

func TestTrainRoundTripAndSave(t *testing.T) {
	texts := load(t).Texts
	for _, pattern := range []string{tokenizer.PatternGPT2, tokenizer.PatternLlama3} {
		tok, err := tokenizer.TrainBPE(t.Context(), slices.Values(texts), tokenizer.TrainOptions{
			VocabSize: 300, Pattern: pattern, SpecialTokens: []string{"<|end|>"}, MinFrequency: 2})
		require.NoError(t, err)
		assert.Equal(t, 300, tok.Size())
		path := filepath.Join(t.TempDir(), "tokenizer.json")
		require.NoError(t, tok.Save(path))
		again, err := tokenizer.Load(path)
		require.NoError(t, err)
		for _, text := range texts {
			e, err := again.Encode(text, true)
			require.NoError(t, err)
			back, err := tok.Decode(e.IDs, false)
			require.NoError(t, err)
			assert.Equal(t, text, back)
		}
	}
}

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	base := `{"added_tokens":[],%s"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":%s%s}}`
	for want, text := range map[string]string{
		`"Martian"`:      fmt.Sprintf(base, `"normalizer":{"type":"Martian"},`, "[]", ""),
		`"wat"`:          fmt.Sprintf(base, `"pre_tokenizer":{"type":"Digits","individual_digits":true,"wat":1},`, "[]", ""),
		"dropout":        fmt.Sprintf(base, "", "[]", `,"dropout":0.1`),
		"merges[0]":      fmt.Sprintf(base, "", `["a c"]`, ""),
		"unknown field":  fmt.Sprintf(base, `"surprise":1,`, "[]", ""),
		"want an object": `[]`,
	} {
		_, err := tokenizer.Parse([]byte(text))
		require.ErrorIs(t, err, failure.ErrData)
		assert.ErrorContains(t, err, want)
	}
	tok, err := tokenizer.Parse(fmt.Appendf(nil, base, "", `["a b"]`, ""))
	require.NoError(t, err)
	_, err = tok.Encode("ab\xff", false)
	assert.ErrorContains(t, err, "byte 2")
}

package tokenizer_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encoded is what the reference gives.
type encoded struct {
	IDs      []int32   `json:"ids"`
	Tokens   []string  `json:"tokens"`
	Offsets  [][2]int  `json:"offsets"`
	TypeIDs  []int32   `json:"type_ids"`
	Overflow []encoded `json:"overflow"`
}

type componentCase struct {
	Model     int                        `json:"model"`
	Tokenizer map[string]json.RawMessage `json:"tokenizer"`
	Rows      [][2]json.RawMessage       `json:"rows"`
	Decoded   [][3]json.RawMessage       `json:"decoded"`
}

func loadComponents(t testing.TB) (models []json.RawMessage, cases []componentCase) {
	var f struct {
		Models []json.RawMessage `json:"models"`
		Cases  []componentCase   `json:"cases"`
	}
	readJSON(t, "testdata/components.json", &f)
	return f.Models, f.Cases
}

func readJSON(t testing.TB, path string, value any) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, value))
}

// source is the tokenizer.json with a model.
func (c componentCase) source(t testing.TB, model json.RawMessage) []byte {
	c.Tokenizer["model"] = model
	data, err := json.Marshal(c.Tokenizer)
	require.NoError(t, err)
	return data
}

func unmarshal[T any](t testing.TB, raw json.RawMessage) (v T) {
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// equalEncoding compares lists, of which an empty one may be nil.
func equalEncoding(t *testing.T, want encoded, got tokenizer.Encoding, at string) {
	offsets := [][2]int{}
	for _, s := range got.Offsets {
		offsets = append(offsets, [2]int{s.Start, s.End})
	}
	assert.Equal(t, want.IDs, append([]int32{}, got.IDs...), at)
	assert.Equal(t, want.Tokens, append([]string{}, got.Tokens...), at)
	assert.Equal(t, want.Offsets, offsets, at)
	assert.Equal(t, want.TypeIDs, append([]int32{}, got.TypeIDs...), at)
}

func TestComponentsEqualReference(t *testing.T) {
	models, cases := loadComponents(t)
	for i, c := range cases {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			tok, err := tokenizer.Parse(c.source(t, models[c.Model]))
			require.NoError(t, err)
			o := tok.Settings()
			o.Characters = true
			for _, row := range c.Rows {
				texts, want := unmarshal[[]string](t, row[0]), unmarshal[encoded](t, row[1])
				e, err := tok.EncodeWith(o, texts...)
				require.NoError(t, err)
				equalEncoding(t, want, e, fmt.Sprintf("%q", texts))
				require.GreaterOrEqual(t, len(e.Overflow), len(want.Overflow))
				for k, w := range want.Overflow {
					equalEncoding(t, w, e.Overflow[k], fmt.Sprintf("overflow %d of %q", k, texts))
				}
			}
			for _, row := range c.Decoded {
				text, err := tok.Decode(unmarshal[[]int32](t, row[0]), unmarshal[bool](t, row[1]))
				require.NoError(t, err)
				assert.Equal(t, unmarshal[string](t, row[2]), text)
			}
		})
	}
}

type pieceCase struct {
	Options json.RawMessage      `json:"options"`
	Model   string               `json:"model"`
	Rows    [][3]json.RawMessage `json:"rows"`
	Decoded [][2]json.RawMessage `json:"decoded"`
}

func TestSentencePieceEqualsReference(t *testing.T) {
	var cases []pieceCase
	readJSON(t, "testdata/sentencepieces.json", &cases)
	for _, c := range cases {
		t.Run(string(c.Options), func(t *testing.T) {
			model, err := base64.StdEncoding.DecodeString(c.Model)
			require.NoError(t, err)
			path := t.TempDir() + "/tokenizer.model"
			require.NoError(t, os.WriteFile(path, model, 0o600))
			tok, err := tokenizer.Load(path)
			require.NoError(t, err)
			for _, row := range c.Rows {
				text := unmarshal[string](t, row[0])
				e, err := tok.Encode(text, true)
				require.NoError(t, err)
				assert.Equal(t, unmarshal[[]int32](t, row[1]), append([]int32{}, e.IDs...), "ids of %q", text)
				assert.Equal(t, unmarshal[[]string](t, row[2]), append([]string{}, e.Tokens...), "pieces of %q", text)
				for _, s := range e.Offsets {
					assert.True(t, 0 <= s.Start && s.Start <= s.End && s.End <= len(text), "span %v of %q", s, text)
				}
			}
			for _, row := range c.Decoded {
				text, err := tok.Decode(unmarshal[[]int32](t, row[0]), true)
				require.NoError(t, err)
				assert.Equal(t, unmarshal[string](t, row[1]), text)
			}
		})
	}
}

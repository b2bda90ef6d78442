package tokenizer_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// probe is a text that touches most components.
const probe = "a <s>  \u00e9\u0301 B\ufb01 \u6771\u4eac 12,5 \u05e9\u05c1 \U0001f468\u200d\U0001f469 \t\n the x"

// use encodes and decodes with whatever a fuzzer made; it may fail, but only
// with an error that says the file is bad.
func use(t *testing.T, tok *tokenizer.Tokenizer, err error) {
	if err != nil {
		require.ErrorIs(t, err, failure.ErrData)
		return
	}
	for _, o := range []tokenizer.Options{tok.Settings(), {AddSpecial: true}} {
		e, err := tok.EncodeWith(o, probe, "a b")
		if err != nil {
			require.ErrorIs(t, err, failure.ErrData)
			continue
		}
		assert.Len(t, e.Tokens, e.Len())
		assert.Len(t, e.Offsets, e.Len())
		assert.Len(t, e.TypeIDs, e.Len())
		_, err = tok.Decode(e.IDs, false)
		if err != nil {
			require.ErrorIs(t, err, failure.ErrData)
		}
	}
}

// limit is how many MiB a tokenizer of that file, and what use encodes with
// it, may allocate.
func limit(file []byte) uint64 { return 64 + uint64(len(file))>>10 }

func FuzzParse(f *testing.F) {
	models := []string{
		`{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{"a":0,"##b":1,"ab":2}}`,
		`{"type":"WordLevel","unk_token":"a","vocab":{"a":0,"the":1}}`,
		`{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0],["a",-1.5],["<0x41>",-20],["the",-2e1]]}`,
		`{"type":"BPE","dropout":null,"unk_token":"a","continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":true,` +
			`"byte_fallback":true,"ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2,"<0x41>":3},"merges":["a b"]}`,
	}
	_, cases := loadComponents(f)
	for i, c := range cases {
		if source := c.source(f, json.RawMessage(models[i%len(models)])); len(source) < 3000 {
			f.Add(source)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bounded.Run(t, limit(data), func() {
			tok, err := tokenizer.Parse(data)
			use(t, tok, err)
		})
	})
}

func FuzzParseSentencePiece(f *testing.F) {
	var cases []pieceCase
	readJSON(f, "testdata/sentencepieces.json", &cases)
	for _, c := range cases {
		model, err := base64.StdEncoding.DecodeString(c.Model)
		require.NoError(f, err)
		f.Add(model[len(model)-1000:])
	}
	f.Add([]byte("\x0a\x0b\x0a\x05<unk>\x18\x02\x15\x00\x00\x00\x00\x0a\x08\x0a\x01a\x15\x00\x00\x80\xbf\x12\x02\x18\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bounded.Run(t, limit(data), func() {
			tok, err := tokenizer.ParseSentencePiece(data)
			use(t, tok, err)
		})
	})
}

func FuzzEncode(f *testing.F) {
	all := load(f)
	for _, text := range all.Texts {
		f.Add(text)
	}
	tok, err := tokenizer.TrainBPE(f.Context(), slices.Values(all.Texts), tokenizer.TrainOptions{
		VocabSize: 400, Pattern: tokenizer.PatternLlama3})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		bounded.Run(t, 1+uint64(len(text))>>10, func() {
			e, err := tok.Encode(text, true)
			if err != nil {
				require.ErrorIs(t, err, failure.ErrData)
				return
			}
			back, err := tok.Decode(e.IDs, false)
			require.NoError(t, err)
			assert.Equal(t, text, back)
			for _, o := range e.Offsets {
				assert.True(t, 0 <= o.Start && o.Start <= o.End && o.End <= len(text))
			}
		})
	})
}

// TestLongWords encodes a million of one character with every model: what is
// not linear does not end.
func TestLongWords(t *testing.T) {
	models, _ := loadComponents(t)
	long := strings.Repeat("a", 1_000_000)
	for i, m := range models {
		tok, err := tokenizer.Parse([]byte(`{"model":` + string(m) + `}`))
		require.NoError(t, err)
		e, err := tok.Encode(long, false)
		require.NoError(t, err, "model %d", i)
		assert.NotEmpty(t, e.IDs)
	}
	var cases []pieceCase
	readJSON(t, "testdata/sentencepieces.json", &cases)
	for _, c := range cases {
		model, err := base64.StdEncoding.DecodeString(c.Model)
		require.NoError(t, err)
		tok, err := tokenizer.ParseSentencePiece(model)
		require.NoError(t, err)
		for _, text := range []string{long, strings.Repeat("\u2603", 300_000)} {
			e, err := tok.Encode(text, false)
			require.NoError(t, err)
			assert.NotEmpty(t, e.IDs)
		}
	}
}

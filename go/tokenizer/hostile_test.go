package tokenizer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostileFile is a tokenizer with parts of a file in it.
func hostileFile(parts string) []byte {
	if !strings.Contains(parts, `"model":`) {
		parts += `,"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0}}`
	}
	return []byte("{" + parts + "}")
}

// sequence is a Sequence of n times the same.
func sequence(stage, list, component string, n int) string {
	return fmt.Sprintf(`"%s":{"type":"Sequence","%s":[%s]}`, stage, list, strings.TrimSuffix(strings.Repeat(component+",", n), ","))
}

const (
	byteLevelPart = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":false}`
	doubling      = `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`
)

func added(content, flags string) string {
	return fmt.Sprintf(`"added_tokens":[{"id":1,"content":"%s",%s,"special":false}]`, content, flags)
}

// TestHostileFiles: files that ask for much time or memory are refused, when
// they are read or used, within bounds of both.
func TestHostileFiles(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 10_000) + strings.Repeat(`]}`, 10_000)
	places := strings.TrimSuffix(strings.Repeat(`{"Sequence":{"id":"A","type_id":0}},`, 10_000), ",")
	specials := strings.TrimSuffix(strings.Repeat(`{"SpecialToken":{"id":"a","type_id":0}},`, 10_000), ",")
	many := strings.TrimSuffix(strings.Repeat("0,", 10_000), ",")
	names := strings.TrimSuffix(strings.Repeat(`"a",`, 10_000), ",")
	for name, parts := range map[string]string{
		"a pattern without end":      `"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated","invert":false}`,
		"an alternation without end": `"normalizer":{"type":"Replace","pattern":{"Regex":"(a|aa|a?)*b"},"content":""}`,
		"a text that explodes":       `"normalizer":{"type":"Replace","pattern":{"String":"a"},"content":"` + long + `"}`,
		"a long thing put before":    `"normalizer":{"type":"Prepend","prepend":"` + long + `"}`,
		"rules that double":          sequence("normalizer", "normalizers", doubling, 40),
		"bytes of bytes of bytes":    sequence("pre_tokenizer", "pretokenizers", byteLevelPart, 40) + `,"normalizer":{"type":"Replace","pattern":{"String":"a"},"content":"é"}`,
		"rules that are many":        sequence("normalizer", "normalizers", `{"type":"NFC"}`, 2000),
		"cuts that are many":         sequence("pre_tokenizer", "pretokenizers", `{"type":"WhitespaceSplit"}`, 1000),
		"too deep":                   `"normalizer":` + deep,
		"brackets":                   `"normalizer":` + strings.Repeat("[", 1<<20),
		"padding without end":        `"padding":{"strategy":{"Fixed":1000000000000},"direction":"Left","pad_id":0,"pad_type_id":0,"pad_token":"a"}`,
		"a token far away":           `"added_tokens":[{"id":2000000000,"content":"b","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":false}]`,
		"an added token too long":    added(long, `"single_word":false,"lstrip":false,"rstrip":false,"normalized":false`),
		"a word too long":            `"model":{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"","max_input_chars_per_word":1000000000,"vocab":{"a":0,"` + long + `b":1}}`,
		"a piece too long":           `"model":{"type":"Unigram","unk_id":0,"vocab":[["a",0],["` + long + `b",-1]]}`,
		"a prefix too long":          `"model":{"type":"BPE","continuing_subword_prefix":"` + long + `","vocab":{"a":0},"merges":[]}`,
		"holes":                      `"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":2147483647}}`,
		"a text copied":              `"post_processor":{"type":"TemplateProcessing","single":[` + places + `],"pair":[],"special_tokens":{}}`,
		"special tokens of many ids": `"post_processor":{"type":"TemplateProcessing","single":[` + specials + `],"pair":[],"special_tokens":{"a":{"id":"a","ids":[` + many + `],"tokens":[` + names + `]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := hostileFile(parts)
			bounded.Run(t, 256, func() {
				tok, err := tokenizer.Parse(file)
				if err == nil {
					_, err = tok.EncodeWith(tok.Settings(), strings.Repeat("a", 5000)+"!")
				}
				require.ErrorIs(t, err, failure.ErrData)
				assert.Less(t, len(err.Error()), 500)
			})
		})
	}
}

// TestHostileDecoders: decoders that make ever more of a few tokens.
func TestHostileDecoders(t *testing.T) {
	for name, parts := range map[string]string{
		"rules that double": sequence("decoder", "decoders", doubling, 40),
		"a long rule":       `"decoder":{"type":"Replace","pattern":{"String":"a"},"content":"` + strings.Repeat("a", 1<<20) + `"}`,
		"empty suffixes":    sequence("decoder", "decoders", `{"type":"BPEDecoder","suffix":""}`, 40),
	} {
		tok, err := tokenizer.Parse(hostileFile(parts))
		require.NoError(t, err, name)
		bounded.Run(t, 128, func() {
			_, err = tok.Decode(make([]int32, 2000), false)
			require.ErrorIs(t, err, failure.ErrData, name)
		})
	}
}

// TestDecodingLongTokens: a few ids of which each is a long text.
func TestDecodingLongTokens(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	tok, err := tokenizer.Parse(hostileFile(`"model":{"type":"BPE","vocab":{"` + long + `":0},"merges":[]}`))
	require.NoError(t, err)
	bounded.Run(t, 64, func() {
		_, err := tok.Decode(make([]int32, 100_000), false)
		require.ErrorIs(t, err, failure.ErrData)
	})
}

// TestMillionCharacters: a text of a million characters takes memory in
// proportion, whatever is looked for in it.
func TestMillionCharacters(t *testing.T) {
	const million = 1_000_000
	inside := strings.Repeat("a", 500)
	flags := func(strip bool) string {
		return fmt.Sprintf(`"single_word":%t,"lstrip":%t,"rstrip":%t,"normalized":false`, !strip, strip, strip)
	}
	for name, c := range map[string]struct{ parts, text string }{
		"an added token nearly there":  {added(inside+"b", flags(false)), strings.Repeat("a", million)},
		"an added token of spaces":     {added(" ", flags(true)), strings.Repeat(" ", million)},
		"an added token among spaces":  {added("x", flags(true)), strings.Repeat("x  ", million/3)},
		"marks in any order":           {`"normalizer":{"type":"NFC"}`, "a" + strings.Repeat("\u0301\u0323", million/2)},
		"compatible marks":             {`"normalizer":{"type":"NFKD"}`, "a" + strings.Repeat("\u0301\u0323", million/2)},
		"spaces cut at":                {`"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}`, strings.Repeat(" ", million)},
		"a word of pieces":             {`"model":{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"","max_input_chars_per_word":1000000000,"vocab":{"a":0,"` + inside + `b":1}}`, strings.Repeat("a", million)},
		"a Unigram with a long piece":  {`"model":{"type":"Unigram","unk_id":0,"vocab":[["a",0],["` + inside + `b",-1]]}`, strings.Repeat("a", million)},
		"the pattern of GPT-2":         {`"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`, strings.Repeat(" ", million)},
		"letters of another script":    {`"pre_tokenizer":{"type":"UnicodeScripts"}`, strings.Repeat("дa", million/2)},
		"windows over windows":         {`"truncation":{"direction":"Right","max_length":500,"strategy":"LongestFirst","stride":10}`, strings.Repeat("a", million)},
		"BERT's rules":                 {`"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":true,"lowercase":true}`, strings.Repeat("東", million)},
		"a pattern tried at every end": {`"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a{1,3}|\\s+(?!\\S)"},"behavior":"Isolated","invert":false}`, strings.Repeat("a ", million/2)},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := tokenizer.Parse(hostileFile(c.parts))
			require.NoError(t, err)
			bounded.Run(t, 1536, func() {
				e, err := tok.EncodeWith(tok.Settings(), c.text)
				require.NoError(t, err)
				assert.NotEmpty(t, e.IDs)
			})
		})
	}
}

// TestFileTooLarge: what is too large is refused before it is read.
func TestFileTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(1<<40))
	require.NoError(t, f.Close())
	bounded.Run(t, 1, func() {
		_, err := tokenizer.Load(path)
		require.ErrorIs(t, err, failure.ErrData)
	})
}

// Command answer encodes and decodes what differential.py asks for: one JSON
// question a line on standard input, one answer a line on standard output.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/graftlm/graft/go/tokenizer"
)

type question struct {
	Tokenizer string     `json:"tokenizer"` // the text of a tokenizer.json
	Model     string     `json:"model"`     // or the path of a SentencePiece model
	File      string     `json:"file"`      // or the path of either, read once
	Texts     [][]string `json:"texts"`     // one or two
	IDs       [][]int32  `json:"ids"`
	Settings  bool       `json:"settings"` // truncate and pad as the file says
	Plain     bool       `json:"plain"`    // without special tokens
	Digest    bool       `json:"digest"`   // digests of everything, in place of it
}

type encoded struct {
	IDs      []int32   `json:"ids"`
	Tokens   []string  `json:"tokens"`
	Offsets  [][2]int  `json:"offsets"`
	Bytes    [][2]int  `json:"bytes"`
	TypeIDs  []int32   `json:"type_ids"`
	Overflow []encoded `json:"overflow"`
	Error    string    `json:"error,omitempty"`
}

func spans(in []tokenizer.Span) [][2]int {
	out := make([][2]int, len(in))
	for i, s := range in {
		out[i] = [2]int{s.Start, s.End}
	}
	return out
}

func show(e tokenizer.Encoding) encoded {
	out := encoded{IDs: e.IDs, Tokens: e.Tokens, Offsets: spans(e.Offsets), TypeIDs: e.TypeIDs}
	for _, o := range e.Overflow {
		out.Overflow = append(out.Overflow, show(o))
	}
	return out
}

type answer struct {
	Error     string      `json:"error,omitempty"`
	Digests   [][7]string `json:"digests,omitempty"`
	Encodings []encoded   `json:"encodings"`
	Decoded   [][2]string `json:"decoded"`
	Streamed  []string    `json:"streamed"`
}

// loaded is the tokenizer of the last file asked for.
var loaded struct {
	path      string
	tokenizer *tokenizer.Tokenizer
}

func load(path string) (t *tokenizer.Tokenizer, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if key := fmt.Sprint(path, info.Size(), info.ModTime()); key != loaded.path {
		if loaded.tokenizer, err = tokenizer.Load(path); err != nil {
			return nil, err
		}
		loaded.path = key
	}
	return loaded.tokenizer, nil
}

// digests are of ids, tokens, offsets in characters and in bytes, decoded text
// with and without special tokens, and streamed text.
func digests(t *tokenizer.Tokenizer, e, inBytes tokenizer.Encoding) (out [7]string) {
	numbers := func(v any) string {
		var b bytes.Buffer
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
		return digest(b.Bytes())
	}
	pairs := func(spans []tokenizer.Span) []int32 {
		v := make([]int32, 0, 2*len(spans))
		for _, s := range spans {
			v = append(v, int32(s.Start), int32(s.End))
		}
		return v
	}
	out = [7]string{numbers(e.IDs), digest([]byte(strings.Join(e.Tokens, "\x00"))), numbers(pairs(e.Offsets)), numbers(pairs(inBytes.Offsets))}
	for i := range 2 {
		text, err := t.Decode(e.IDs, i == 1)
		if err != nil {
			panic(err)
		}
		out[4+i] = digest([]byte(text))
	}
	var streamed strings.Builder
	s := t.Stream(false)
	for _, id := range e.IDs {
		streamed.WriteString(s.Push(id))
	}
	streamed.WriteString(s.Flush())
	out[6] = digest([]byte(streamed.String()))
	return out
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func reply(q question) (a answer) {
	t, err := tokenizer.Parse([]byte(q.Tokenizer))
	switch {
	case q.Model != "":
		t, err = tokenizer.Load(q.Model)
	case q.File != "":
		t, err = load(q.File)
	}
	if err != nil {
		a.Error = err.Error()
		return a
	}
	var o tokenizer.Options
	if q.Settings {
		o = t.Settings()
	}
	o.AddSpecial = !q.Plain
	for _, texts := range q.Texts {
		o.Characters = false
		inBytes, err := t.EncodeWith(o, texts...)
		if err != nil {
			a.Encodings = append(a.Encodings, encoded{Error: err.Error()})
			continue
		}
		o.Characters = true
		e, err := t.EncodeWith(o, texts...)
		if err != nil {
			panic(err)
		}
		if q.Digest {
			a.Digests = append(a.Digests, digests(t, e, inBytes))
			continue
		}
		out := show(e)
		out.Bytes = spans(inBytes.Offsets)
		a.Encodings = append(a.Encodings, out)
	}
	for _, ids := range q.IDs {
		var both [2]string
		for i := range both {
			if both[i], err = t.Decode(ids, i == 1); err != nil {
				both[i] = "error: " + err.Error()
			}
		}
		a.Decoded = append(a.Decoded, both)
		s, text := t.Stream(false), ""
		for _, id := range ids {
			text += s.Push(id)
		}
		a.Streamed = append(a.Streamed, text+s.Flush())
	}
	return a
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<30)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			panic(err)
		}
		if err := enc.Encode(reply(q)); err != nil {
			panic(err)
		}
		out.Flush()
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
)

func tokenizeCommand() *cli.Command {
	return &cli.Command{
		Name: "tokenize", Usage: "text to tokens and back, as the model sees it", ArgsUsage: "MODEL|tokenizer.json|tokenizer.model",
		Description: "Reads a JSON object a line, {\"text\": …} or {\"text\": …, \"pair\": …}, and prints ids, tokens and offsets; with\n" +
			"--decode it reads {\"ids\": […]} and prints {\"text\": …}. Lines that are not JSON are taken as text. Truncation and\n" +
			"padding are as the file says.\n\n" +
			"echo '{\"text\": \"Hello, world\"}' | graft tokenize model/ --json\n" +
			"echo '{\"ids\": [9707, 11]}' | graft tokenize model/tokenizer.json --decode --json\n" +
			"graft tokenize tokenizer.model --input lines.jsonl",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "input", Value: "-", Usage: "the `FILE` to read, or - for stdin"},
			&cli.BoolFlag{Name: "decode", Usage: "ids to text"},
			&cli.BoolFlag{Name: "no-special", Usage: "encode without special tokens"},
			&cli.BoolFlag{Name: "keep-special", Usage: "decode special tokens too"},
			&cli.BoolFlag{Name: "bytes", Usage: "offsets count bytes, not characters"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c, "a model directory, tokenizer.json or tokenizer.model")
			if err != nil {
				return err
			}
			t, err := tokenizer.Load(path)
			if err != nil {
				return err
			}
			in, name, err := input(c.String("input"))
			if err != nil {
				return err
			}
			defer in.Close()
			out := bufio.NewWriter(os.Stdout)
			if err := tokenizeLines(c, t, in, name, out); err != nil {
				out.Flush()
				return err
			}
			return failure.As(failure.ErrIO, out.Flush())
		},
	}
}

// tokenizeRecord is a line of input.
type tokenizeRecord struct {
	Text *string `json:"text"`
	Pair *string `json:"pair"`
	IDs  []int32 `json:"ids"`
}

func tokenizeLines(c *cli.Context, t *tokenizer.Tokenizer, in io.Reader, name string, out *bufio.Writer) error {
	o := t.Settings()
	o.AddSpecial, o.Characters = !c.Bool("no-special"), !c.Bool("bytes")
	decode := c.Bool("decode")
	lines := bufio.NewReader(in)
	for n := 1; ; n++ {
		if err := c.Context.Err(); err != nil {
			return err
		}
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return nil
		}
		if err != nil && err != io.EOF {
			return failure.IO("%s: %w", name, err)
		}
		line = strings.TrimRight(line, "\r\n")
		r, err := readTokenizeRecord(line, decode)
		if err != nil {
			return failure.Data("%s:%d: %w", name, n, err)
		}
		if decode {
			err = printDecoded(c, t, r.IDs, out)
		} else {
			err = printEncoded(c, t, o, r, out)
		}
		if err != nil {
			return failure.Data("%s:%d: %w", name, n, err)
		}
		if lines.Buffered() == 0 { // a reader that waits for its answer
			if err := out.Flush(); err != nil {
				return failure.IO("%w", err)
			}
		}
	}
}

func readTokenizeRecord(line string, decode bool) (tokenizeRecord, error) {
	var r tokenizeRecord
	if !decode && !strings.HasPrefix(strings.TrimSpace(line), "{") {
		r.Text = &line
		return r, nil
	}
	if decode && strings.HasPrefix(strings.TrimSpace(line), "[") {
		if err := json.Unmarshal([]byte(line), &r.IDs); err != nil {
			return r, failure.Data("%w", err)
		}
		return r, nil
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, failure.Data("%w", err)
	}
	switch {
	case decode && (r.IDs == nil || r.Text != nil):
		return r, failure.Data(`want {"ids": […]}`)
	case !decode && (r.Text == nil || r.IDs != nil):
		return r, failure.Data(`want {"text": …}`)
	}
	return r, nil
}

func printDecoded(c *cli.Context, t *tokenizer.Tokenizer, ids []int32, out *bufio.Writer) error {
	text, err := t.Decode(ids, !c.Bool("keep-special"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSONLine(out, map[string]string{"text": text})
	}
	fmt.Fprintln(out, text)
	return nil
}

func printEncoded(c *cli.Context, t *tokenizer.Tokenizer, o tokenizer.Options, r tokenizeRecord, out *bufio.Writer) error {
	texts := []string{*r.Text}
	if r.Pair != nil {
		texts = append(texts, *r.Pair)
	}
	e, err := t.EncodeWith(o, texts...)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		for i, id := range e.IDs {
			fmt.Fprintf(out, "%8d  %-24s %d:%d\n", id, fmt.Sprintf("%q", e.Tokens[i]), e.Offsets[i].Start, e.Offsets[i].End)
		}
		fmt.Fprintf(out, "%8d tokens\n", e.Len())
		return nil
	}
	offsets := make([][2]int, e.Len())
	for i, s := range e.Offsets {
		offsets[i] = [2]int{s.Start, s.End}
	}
	return writeJSONLine(out, struct {
		IDs     []int32  `json:"ids"`
		Tokens  []string `json:"tokens"`
		Offsets [][2]int `json:"offsets"`
	}{append([]int32{}, e.IDs...), append([]string{}, e.Tokens...), offsets})
}

func writeJSONLine(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
)

func tokenizerCommand() *cli.Command {
	return &cli.Command{
		Name: "tokenizer", Usage: "make tokenizers",
		Description: "graft tokenizer train corpus.txt --vocab-size 8192 --out tokenizer.json",
		Subcommands: []*cli.Command{{
			Name: "train", Usage: "train a byte-level BPE on text files", ArgsUsage: "FILE|DIR...",
			Description: "graft tokenizer train --vocab-size 8192 --special '<|endoftext|>' --out tokenizer.json --ext .go $(go env GOROOT)/src/net",
			Flags: []cli.Flag{
				&cli.IntFlag{Name: "vocab-size", Value: 8192, Usage: "tokens in all"},
				&cli.StringSliceFlag{Name: "special", Usage: "a special `TOKEN`; may be repeated"},
				&cli.StringFlag{Name: "out", Value: "tokenizer.json", Usage: "the `FILE` to write"},
				&cli.StringFlag{Name: "ext", Usage: "of directories take only files that end so"},
				jsonFlag(),
			},
			Action: func(c *cli.Context) error {
				if !c.Args().Present() {
					return failure.Usage("name files or directories to train on")
				}
				var failed error
				t, err := tokenizer.TrainBPE(c.Context, texts(c.Args().Slice(), c.String("ext"), &failed), tokenizer.TrainOptions{
					VocabSize: c.Int("vocab-size"), SpecialTokens: c.StringSlice("special"),
				})
				if failed != nil {
					return failed
				}
				if err != nil {
					return err
				}
				if err := t.Save(c.String("out")); err != nil {
					return err
				}
				if c.Bool("json") {
					return printJSON(map[string]any{"output": c.String("out"), "tokens": t.Size()})
				}
				fmt.Printf("%s: %d tokens\n", c.String("out"), t.Size())
				return nil
			},
		}},
	}
}

// texts reads files one after another.
func texts(paths []string, ext string, failed *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, root := range paths {
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || path != root && !strings.HasSuffix(path, ext) {
					return err
				}
				text, err := os.ReadFile(path)
				if err == nil && !yield(string(text)) {
					return fs.SkipAll
				}
				return err
			})
			if errors.Is(err, fs.ErrNotExist) {
				err = failure.NoInput("%s does not exist", root)
			}
			if err != nil {
				*failed = failure.As(failure.ErrIO, err)
				return
			}
		}
	}
}

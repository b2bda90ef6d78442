package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
)

// sources are the files that a command names, or those of data.train of a run
// file.
func sources(c *cli.Context) ([]data.Source, error) {
	args := c.Args().Slice()
	if len(args) == 0 {
		return nil, failure.Usage("name a run file, or files of records: %s %s", c.Command.HelpName, c.Command.ArgsUsage)
	}
	if end := filepath.Ext(args[0]); len(args) == 1 && (end == ".yaml" || end == ".yml") {
		cfg, err := loadConfig(c)
		if err != nil {
			return nil, err
		}
		if err := cfg.Require("data.train"); err != nil {
			return nil, err
		}
		if !c.IsSet("val-size") && cfg.Data.ValSetSize > 0 {
			c.Set("val-size", fmt.Sprint(cfg.Data.ValSetSize))
		}
		if !c.IsSet("seed") {
			c.Set("seed", fmt.Sprint(cfg.Train.Seed))
		}
		var all []data.Source
		for _, s := range cfg.Data.Train {
			all = append(all, data.Source{Path: s.Path, Format: data.Form(s.Format)})
		}
		return all, nil
	}
	var all []data.Source
	for _, path := range args {
		all = append(all, data.Source{Path: path, Format: data.Form(c.String("format"))})
	}
	return all, nil
}

// input opens a file, or the standard input for "-", with its name in messages.
func input(path string) (in io.ReadCloser, name string, err error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), "stdin", nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, path, failure.NoInput("%s does not exist", path)
	}
	return f, path, failure.As(failure.ErrIO, err)
}

// output writes a file that is there whole or not at all, compressed as its
// name says; "-" is stdout.
func output(path string, write func(io.Writer) error) error {
	if path == "-" {
		return write(os.Stdout)
	}
	return atomicfs.Stream(path, func(w io.Writer) error {
		var z io.WriteCloser
		switch {
		case strings.HasSuffix(path, ".gz"):
			z = gzip.NewWriter(w)
		case strings.HasSuffix(path, ".zst"):
			var err error
			if z, err = zstd.NewWriter(w); err != nil {
				return err
			}
		default:
			return write(w)
		}
		if err := write(z); err != nil {
			z.Close()
			return err
		}
		return z.Close()
	})
}

func dataConvertCommand() *cli.Command {
	return &cli.Command{
		Name: "convert", Usage: "write records of any form and file as JSONL of one form", ArgsUsage: "RUN.yaml|FILE...",
		Description: "graft data convert alpaca.json --to messages --out train.jsonl\n" +
			"graft data convert 'shards/*.parquet' --to messages --out train.jsonl.zst --skip-bad",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Value: "messages", Usage: "the `FORM`: messages or prompt_completion"},
			&cli.StringFlag{Name: "format", Value: "auto", Usage: "the `FORM` of the records that are read"},
			&cli.StringFlag{Name: "out", Value: "-", Usage: "the `FILE` to write; .gz and .zst compress it"},
			&cli.BoolFlag{Name: "skip-bad", Usage: "leave out records that do not convert, and count them"},
			setFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			from, err := sources(c)
			if err != nil {
				return err
			}
			var done data.Converted
			err = output(c.String("out"), func(w io.Writer) (err error) {
				done, err = data.Convert(c.Context, from, os.Stdin, data.Form(c.String("to")), c.Bool("skip-bad"), w)
				return err
			})
			if errors.Is(err, failure.ErrData) {
				return fmt.Errorf("%w; --skip-bad leaves such records out", err)
			}
			if err != nil {
				return err
			}
			if c.Bool("json") && c.String("out") != "-" {
				return printJSON(done)
			}
			fmt.Fprintf(os.Stderr, "graft: %d records written, %d left out\n", done.Records, done.Skipped)
			return nil
		},
	}
}

func dataSplitCommand() *cli.Command {
	return &cli.Command{
		Name: "split", Usage: "divide records into a file to train on and one to validate with", ArgsUsage: "RUN.yaml|FILE...",
		Description: "graft data split all.jsonl --val-size 0.05 --train train.jsonl --val val.jsonl\n" +
			"graft data split run.yaml --train train.jsonl --val val.jsonl   # what val_set_size and seed of the run hold out",
		Flags: []cli.Flag{
			&cli.Float64Flag{Name: "val-size", Value: 0.05, Usage: "a part below 1, or a number of records"},
			&cli.Uint64Flag{Name: "seed", Value: 42, Usage: "of the choice"},
			&cli.StringFlag{Name: "train", Value: "train.jsonl", Usage: "the `FILE` for most"},
			&cli.StringFlag{Name: "val", Value: "val.jsonl", Usage: "the `FILE` for those held out"},
			setFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			from, err := sources(c)
			if err != nil {
				return err
			}
			var done data.Divided
			err = output(c.String("train"), func(train io.Writer) error {
				return output(c.String("val"), func(val io.Writer) (err error) {
					done, err = data.Divide(c.Context, from, c.Float64("val-size"), c.Uint64("seed"), train, val)
					return err
				})
			})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(done)
			}
			fmt.Printf("%s: %d records\n%s: %d records\n", c.String("train"), done.Train, c.String("val"), done.Val)
			return nil
		},
	}
}

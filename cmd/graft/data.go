package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
)

func dataCommand() *cli.Command {
	return &cli.Command{
		Name: "data", Usage: "look at what a run file would train on, and prepare files for it",
		Description: "graft data check run.yaml\ngraft data show run.yaml -n 2\ngraft data split all.jsonl --val-size 0.05",
		Subcommands: []*cli.Command{
			dataCheckCommand(), dataShowCommand(), dataStatsCommand(), dataPackCommand(), dataConvertCommand(), dataSplitCommand(),
		},
	}
}

// dataFlags are those of commands that read a run file for its data: no device and
// no memory is in question.
func dataFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{setFlag(), jsonFlag()}, more...)
}

// records reads the data of the run file that a command names.
func records(c *cli.Context) (*graft.Records, error) {
	cfg, err := loadConfig(c)
	if err != nil {
		return nil, err
	}
	r, err := graft.ReadRecords(c.Context, cfg, graft.Options{Stdin: os.Stdin, Progress: newProgress(c)})
	if err == nil && r.Report.Cache != "" {
		fmt.Fprintf(os.Stderr, "graft: tokenised rows: %s\n", r.Report.Cache)
	}
	return r, err
}

func dataCheckCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "read all records, count, warn, and say whether training would start", ArgsUsage: "RUN.yaml", Flags: dataFlags(),
		Description: "graft data check run.yaml\ngraft data check run.yaml --json\n\nThe exit code is 65 if training would refuse the data.",
		Action: func(c *cli.Context) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			r, err := graft.SurveyRecords(c.Context, cfg, graft.Options{Stdin: os.Stdin, Progress: newProgress(c)})
			if err != nil {
				return err
			}
			defer r.Close()
			check := r.Check()
			if c.Bool("json") {
				err = printJSON(check)
			} else {
				fmt.Print(check)
			}
			if err == nil && len(check.Refused) > 0 {
				err = failure.Data("training would refuse this data: %s", check.Refused[0])
			}
			return err
		},
	}
}

func dataStatsCommand() *cli.Command {
	return &cli.Command{
		Name: "stats", Usage: "lengths and counts of the tokenised rows", ArgsUsage: "RUN.yaml", Flags: dataFlags(),
		Description: "graft data stats run.yaml --json",
		Action: func(c *cli.Context) error {
			r, err := records(c)
			if err != nil {
				return err
			}
			defer r.Close()
			s := r.Train.Stats()
			if c.Bool("json") {
				return printJSON(s)
			}
			fmt.Printf("rows           %d\ntokens         %d\ntarget tokens  %d\n", s.Rows, s.Tokens, s.Targets)
			fmt.Printf("length         min %d, median %d, p90 %d, p99 %d, max %d\n", s.Lengths.Min, s.Lengths.Median, s.Lengths.P90, s.Lengths.P99, s.Lengths.Max)
			fmt.Printf("trained        min %d, median %d, p90 %d, p99 %d, max %d\n", s.Trained.Min, s.Trained.Median, s.Trained.P90, s.Trained.P99, s.Trained.Max)
			for _, name := range slices.Sorted(maps.Keys(s.Sources)) {
				fmt.Printf("source         %s: %d rows\n", name, s.Sources[name])
			}
			fmt.Print(s.Histogram)
			return nil
		},
	}
}

func dataShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show records as the model reads them, with what is trained marked", ArgsUsage: "RUN.yaml",
		Description: "graft data show run.yaml --mask -n 2\ngraft data show run.yaml --html mask.html -n 50\n\n" +
			"In a terminal what is trained is green; elsewhere it stands in ⟦brackets⟧.",
		Flags: dataFlags(
			&cli.IntFlag{Name: "n", Value: 3, Usage: "how many"}, &cli.IntFlag{Name: "from", Usage: "the first, counted from 0"},
			&cli.BoolFlag{Name: "mask", Usage: "mark what is trained", Value: true},
			&cli.StringFlag{Name: "html", Usage: "write a page to `FILE` instead, which needs nothing beside it"},
		),
		Action: func(c *cli.Context) error {
			r, err := records(c)
			if err != nil {
				return err
			}
			defer r.Close()
			from, rows := c.Int("from"), r.Train
			if from < 0 || from >= rows.Len() {
				return failure.Usage("--from %d: there are %d records", from, rows.Len())
			}
			var examples []data.Example
			for i := from; i < min(from+c.Int("n"), rows.Len()); i++ {
				s, err := r.Show(i)
				if err != nil {
					return err
				}
				row, err := rows.Row(i)
				if err != nil {
					return err
				}
				examples = append(examples, data.Example{Source: row.Source, Line: row.Line, Shown: s})
			}
			if file := c.String("html"); file != "" {
				return atomicfs.Stream(file, func(w io.Writer) error { return data.WriteHTML(w, "What "+c.Args().First()+" trains", examples) })
			}
			if c.Bool("json") {
				return printJSON(examples)
			}
			for _, e := range examples {
				fmt.Printf("── %s:%d\n%s\n", e.Source, e.Line, marked(e.Shown, c.Bool("mask")))
			}
			return nil
		},
	}
}

// marked is a text with what is trained in colour, or in brackets where there
// is no terminal.
func marked(s data.Shown, mask bool) string {
	switch {
	case !mask:
		for i := range s {
			s[i].Trained = false
		}
		return s.Plain()
	case term.IsTerminal(int(os.Stdout.Fd())):
		return s.ANSI()
	}
	return s.Plain()
}

func dataPackCommand() *cli.Command {
	type epoch struct {
		Sequences  int     `json:"sequences"`
		Tokens     int     `json:"tokens"`
		Steps      int     `json:"steps"`
		Efficiency float64 `json:"efficiency"` // of the room of the sequences
		Filled     float64 `json:"filled"`     // of the tokens of the micro-batches
	}
	return &cli.Command{
		Name: "pack", Aliases: []string{"preprocess"}, ArgsUsage: "RUN.yaml",
		Usage:       "tokenise and pack as training would, keep the rows for it, and print how full the sequences are",
		Description: "graft data pack run.yaml\ngraft data pack run.yaml --out rows.jsonl   # {\"input_ids\", \"labels\"} a line, as data.train takes them",
		Flags: dataFlags(
			&cli.IntFlag{Name: "epochs", Value: 1, Usage: "how many to print"},
			&cli.StringFlag{Name: "out", Usage: "write the rows as records of tokens to `FILE`"},
		),
		Action: func(c *cli.Context) error {
			r, err := records(c)
			if err != nil {
				return err
			}
			defer r.Close()
			loader, err := r.Loader()
			if err != nil {
				return err
			}
			var epochs []epoch
			for i := range c.Int("epochs") {
				sequences, tokens := loader.Sequences(i)
				epochs = append(epochs, epoch{sequences, tokens, loader.StepsPerEpoch(i), float64(tokens) / (float64(sequences) * float64(loader.Room())), loader.Efficiency(i)})
			}
			if file := c.String("out"); file != "" {
				if err := atomicfs.Stream(file, r.Train.WriteJSONL); err != nil {
					return err
				}
			}
			if c.Bool("json") {
				return printJSON(map[string]any{"rows": r.Train.Len(), "sequence_tokens": loader.Room(), "epochs": epochs, "cache": r.Report.Cache})
			}
			for i, e := range epochs {
				if !r.Config.Data.Packing {
					fmt.Printf("epoch %d  %d rows, each a sequence, %d tokens; micro-batches %.1f %% full; %d steps\n", i, e.Sequences, e.Tokens, 100*e.Filled, e.Steps)
					continue
				}
				fmt.Printf("epoch %d  %d rows in %d sequences of up to %d tokens, %.1f %% full; micro-batches %.1f %% full; %d steps\n",
					i, r.Train.Len(), e.Sequences, loader.Room(), 100*e.Efficiency, 100*e.Filled, e.Steps)
			}
			return nil
		},
	}
}

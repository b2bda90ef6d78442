package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
)

func dataCommand() *cli.Command {
	prepare := func(c *cli.Context) (*graft.Run, error) {
		cfg, err := loadConfig(c)
		if err != nil {
			return nil, err
		}
		return graft.Prepare(c.Context, cfg, graft.Options{Stdin: os.Stdin})
	}
	return &cli.Command{
		Name: "data", Usage: "look at what a run file would train on",
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "read all records, count, and warn", ArgsUsage: "RUN.yaml", Flags: runFlags(),
				Description: "graft data check run.yaml",
				Action: func(c *cli.Context) error {
					run, err := prepare(c)
					if err != nil {
						return err
					}
					defer run.Close()
					check := run.Check()
					if c.Bool("json") {
						return printJSON(check)
					}
					fmt.Print(check)
					return nil
				},
			},
			{
				Name: "stats", Usage: "lengths and counts of the tokenised rows", ArgsUsage: "RUN.yaml", Flags: runFlags(),
				Description: "graft data stats run.yaml --json",
				Action: func(c *cli.Context) error {
					run, err := prepare(c)
					if err != nil {
						return err
					}
					defer run.Close()
					s := run.Check().Train
					if c.Bool("json") {
						return printJSON(s)
					}
					fmt.Printf("rows           %d\ntokens         %d\ntarget tokens  %d\n", s.Rows, s.Tokens, s.Targets)
					fmt.Printf("length         min %d, median %d, p90 %d, p99 %d, max %d\n", s.Lengths.Min, s.Lengths.Median, s.Lengths.P90, s.Lengths.P99, s.Lengths.Max)
					fmt.Printf("trained        min %d, median %d, p90 %d, p99 %d, max %d\n", s.Trained.Min, s.Trained.Median, s.Trained.P90, s.Trained.P99, s.Trained.Max)
					for name, n := range s.Sources {
						fmt.Printf("source         %s: %d rows\n", name, n)
					}
					return nil
				},
			},
			{
				Name: "show", Usage: "show records as tokens, with what is trained marked", ArgsUsage: "RUN.yaml",
				Description: "graft data show run.yaml -n 2\ngraft data show run.yaml --html > mask.html",
				Flags: runFlags(
					&cli.IntFlag{Name: "n", Value: 3, Usage: "how many"}, &cli.IntFlag{Name: "from", Usage: "the first, counted from 0"},
					&cli.BoolFlag{Name: "mask", Usage: "marks are always shown; for scripts that say so"},
					&cli.BoolFlag{Name: "html", Usage: "print a page"},
				),
				Action: func(c *cli.Context) error {
					run, err := prepare(c)
					if err != nil {
						return err
					}
					defer run.Close()
					if c.Int("from") < 0 || c.Int("from") >= run.Rows().Len() {
						return failure.Usage("--from %d: there are %d records", c.Int("from"), run.Rows().Len())
					}
					for i := c.Int("from"); i < min(c.Int("from")+c.Int("n"), run.Rows().Len()); i++ {
						s, err := run.Show(i)
						if err != nil {
							return err
						}
						row := run.Rows().Row(i)
						switch {
						case c.Bool("html"):
							fmt.Println(s.HTML())
						case term.IsTerminal(int(os.Stdout.Fd())):
							fmt.Printf("── %s:%d\n%s\n", row.Source, row.Line, s.ANSI())
						default:
							fmt.Printf("── %s:%d\n%s\n", row.Source, row.Line, s.Plain())
						}
					}
					return nil
				},
			},
		},
	}
}

func evalCommand() *cli.Command {
	return &cli.Command{
		Name: "eval", Usage: "loss, perplexity and accuracy on the evaluation data of a run file", ArgsUsage: "RUN.yaml",
		Description: "graft eval run.yaml\ngraft eval run.yaml --adapter runs/x/adapter --set data.eval=test.jsonl",
		Flags:       runFlags(&cli.StringFlag{Name: "adapter", Usage: "evaluate with this adapter `DIR`; the same as --set method.init_from=…"}),
		Action: func(c *cli.Context) error {
			if a := c.String("adapter"); a != "" {
				if err := c.Set("set", "method.init_from="+a); err != nil {
					return err
				}
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			run, err := graft.Prepare(c.Context, cfg, graft.Options{Progress: newLoading()})
			if err != nil {
				return err
			}
			defer run.Close()
			e, err := run.Evaluate(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(map[string]any{"loss": e.Loss, "perplexity": e.Perplexity(), "accuracy": e.Accuracy})
			}
			fmt.Printf("loss        %.4f\nperplexity  %.2f\naccuracy    %.2f %%\n", e.Loss, e.Perplexity(), 100*e.Accuracy)
			return nil
		},
	}
}

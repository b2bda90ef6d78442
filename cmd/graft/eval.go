package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
)

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
			run, err := graft.Prepare(c.Context, cfg, graft.Options{Progress: newLoading(), Compiling: compiling})
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

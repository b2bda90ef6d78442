package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/train"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name: "eval", Usage: "loss, perplexity and accuracy on the evaluation data of a run file", ArgsUsage: "RUN.yaml",
		Description: "graft eval run.yaml\ngraft eval run.yaml --adapter runs/x/adapter --set data.eval=test.jsonl\n" +
			"graft eval run.yaml --adapter a:0.7 --adapter b:0.3\n" +
			"With several, a record may choose among them: {\"prompt\": \"…\", \"completion\": \"…\", \"adapter\": \"a\"}, \"a:0.5,b:0.5\" or \"none\".",
		Flags: runFlags(&cli.StringSliceFlag{Name: "adapter", Usage: "evaluate with this adapter `DIR`; the same as --set method.init_from=…. LoRA may be DIR:WEIGHT, and repeated, then they add up"}),
		Action: func(c *cli.Context) error {
			adapters, err := weighted(c.StringSlice("adapter"))
			if err != nil {
				return err
			}
			o := graft.Options{Progress: newLoading(), Compiling: compiling, Adapters: adapters}
			if len(adapters) == 1 && adapters[0].Weight == 1 {
				o.Adapters = nil
				if err := c.Set("set", "method.init_from="+adapters[0].Dir); err != nil {
					return err
				}
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			run, err := graft.Prepare(c.Context, cfg, o)
			if err != nil {
				return err
			}
			defer run.Close()
			e, err := run.Evaluate(c.Context)
			if err != nil {
				return err
			}
			if !finite.Is(e.Loss) {
				fmt.Fprintf(os.Stderr, "graft: the loss is %v: a number overflows on these records; look at them, or compute in another model.dtype\n", e.Loss)
			}
			if c.Bool("json") {
				return printJSON(evaluated(e))
			}
			fmt.Printf("loss        %.4f\nperplexity  %.2f\naccuracy    %.2f %%\n", e.Loss, e.Perplexity(), 100*e.Accuracy)
			return nil
		},
	}
}

// evaluated is the outcome for scripts: the perplexity of a large loss is
// infinite, which JSON has no number for.
func evaluated(e train.Report) map[string]finite.Number {
	return map[string]finite.Number{"loss": finite.Number(e.Loss), "perplexity": finite.Number(e.Perplexity()), "accuracy": finite.Number(e.Accuracy)}
}

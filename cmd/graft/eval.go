package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/finite"
	"github.com/graftlm/graft/go/method/head"
	"github.com/graftlm/graft/go/train"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name: "eval", Usage: "measure a run on its evaluation data: loss, perplexity and accuracy, or what a head gets right", ArgsUsage: "RUN.yaml|RUN|ADAPTER",
		Description: "graft eval run.yaml\ngraft eval run.yaml --adapter runs/x/adapter --data test.jsonl\n" +
			"graft eval runs/x    # what a run wrote, with its own settings\n" +
			"graft eval run.yaml --adapter a:0.7 --adapter b:0.3\n" +
			"With several, a record may choose among them: {\"prompt\": \"…\", \"completion\": \"…\", \"adapter\": \"a\"}, \"a:0.5,b:0.5\" or \"none\".",
		Flags: runFlags(
			&cli.StringSliceFlag{Name: "adapter", Usage: "evaluate with this adapter `DIR`; the same as --set method.init_from=…. LoRA may be DIR:WEIGHT, and repeated, then they add up"},
			&cli.StringFlag{Name: "data", Usage: "evaluate on the records of this `FILE`; the same as --set data.eval=… --set data.val_set_size=0"},
		),
		Action: func(c *cli.Context) error {
			adapters, err := weighted(c.StringSlice("adapter"))
			if err != nil {
				return err
			}
			path, err := oneArgument(c, "a run file or a run directory")
			if err != nil {
				return err
			}
			path, wrote, err := graft.Finished(path)
			if err != nil {
				return err
			}
			sets := settings(c)
			if file := c.String("data"); file != "" {
				sets = append(sets, "data.eval="+file, "data.val_set_size=0")
			}
			switch {
			case len(adapters) == 1 && adapters[0].Weight == 1:
				wrote, adapters = initFrom+adapters[0].Dir, nil
			case len(adapters) > 0:
				wrote = ""
			}
			cfg, err := loadWritten(path, sets, wrote)
			if err != nil {
				return err
			}
			run, err := graft.Prepare(c.Context, cfg, graft.Options{Progress: newProgress(c), Compiling: compiling, Adapters: adapters})
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
			return printEvaluation(e, c.Bool("json"))
		},
	}
}

const initFrom = "method.init_from="

// loadWritten loads a run file with what the run wrote, a setting, or "". An adapter
// of virtual tokens has no network that gave them, so that it is read as without one.
func loadWritten(path string, sets []string, wrote string) (*config.Config, error) {
	cfg, err := config.Load(path, sets)
	if err != nil || wrote == "" {
		return cfg, err
	}
	dir, adapter := strings.CutPrefix(wrote, initFrom)
	plain := map[string]string{"ptuning": "prompt", "prefix": "prefix"}[cfg.Method.Type]
	if !adapter || plain == "" {
		return config.Load(path, append(sets, wrote))
	}
	cfg.Method = config.Method{Type: plain, VirtualTokens: cfg.Method.VirtualTokens, Init: "default", InitFrom: dir}
	return cfg, nil
}

// printEvaluation prints the loss with what the method measures; a method that
// makes text has no measures of its own, and a perplexity.
func printEvaluation(r train.Report, asJSON bool) error {
	if asJSON {
		return printJSON(evaluated(r))
	}
	e, ok := r.Evaluation.(head.Evaluation)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "loss\t%.4f\n", r.Loss)
	if !ok {
		fmt.Fprintf(w, "perplexity\t%.2f\naccuracy\t%.2f %%\n", r.Perplexity(), 100*r.Accuracy)
		return w.Flush()
	}
	fmt.Fprintf(w, "rows\t%d\n", e.Rows)
	for _, name := range slices.Sorted(maps.Keys(e.Measures)) {
		if name == "accuracy" {
			fmt.Fprintf(w, "%s\t%.2f %%\n", name, 100*e.Measures[name])
		} else {
			fmt.Fprintf(w, "%s\t%.4f\n", name, e.Measures[name])
		}
	}
	if len(e.Classes) > 0 {
		printClasses(w, e)
	}
	return w.Flush()
}

// evaluated is the outcome for scripts: the perplexity of a large loss is
// infinite, which JSON has no number for.
func evaluated(r train.Report) map[string]any {
	if e, ok := r.Evaluation.(head.Evaluation); ok {
		return map[string]any{"loss": finite.Number(r.Loss), "evaluation": e}
	}
	return map[string]any{"loss": finite.Number(r.Loss), "perplexity": finite.Number(r.Perplexity()), "accuracy": finite.Number(r.Accuracy)}
}

// printClasses prints a line for each class, and which class was taken for which.
func printClasses(w io.Writer, e head.Evaluation) {
	fmt.Fprintln(w, "\nclass\tright\twrongly\tmissed\tprecision\trecall\tF1")
	for _, c := range e.Classes {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.4f\t%.4f\t%.4f\n", c.Label, c.TruePositive, c.FalsePositive, c.FalseNegative, c.Precision, c.Recall, c.F1)
	}
	if e.Confusion == nil {
		return
	}
	fmt.Fprint(w, "\nlabel \\ answer")
	for _, c := range e.Classes {
		fmt.Fprintf(w, "\t%s", c.Label)
	}
	fmt.Fprintln(w)
	for i, row := range e.Confusion {
		fmt.Fprint(w, e.Classes[i].Label)
		for _, n := range row {
			fmt.Fprintf(w, "\t%d", n)
		}
		fmt.Fprintln(w)
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/train"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "train each method on the same data and budget, and print the table", ArgsUsage: "RUN.yaml",
		Description: "graft compare run.yaml --set train.max_steps=100\n" +
			"graft compare run.yaml --methods lora,prompt,full\n\n" +
			"Each method trains in a directory of its own below train.output_dir; compare.html and compare.json are written there.\n" +
			"What an earlier comparison left there is replaced, anything else refused. Records with labels are compared by heads.\n" +
			"A method other than the file's own has its defaults, the learning rate included.",
		Flags: runFlags(&cli.StringFlag{Name: "methods", Usage: "the `METHODS` to train; by default the heads where records have labels, else every one that makes text"}),
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c, "a run file")
			if err != nil {
				return err
			}
			sets := settings(c)
			cfg, err := config.Load(path, sets)
			if err != nil {
				return err
			}
			if err := cfg.Require("train.output_dir"); err != nil {
				return err
			}
			methods, err := alternatives(c, "methods")
			if err != nil {
				return err
			}
			if methods == nil {
				if methods, err = graft.MethodsFor(c.Context, cfg); err != nil {
					return err
				}
			}

			load := func(method string) (*config.Config, error) { return config.LoadAs(path, method, sets) }
			last := ""
			all, err := graft.Compare(c.Context, cfg.Train.OutputDir, methods, load, graft.Options{Progress: newProgress(c)}, func(method string, e train.Event) {
				if method != last {
					fmt.Fprintf(os.Stderr, "%s\n", method)
					last = method
				}
				switch {
				case e.Message != "":
					fmt.Fprintf(os.Stderr, "  %s\n", e.Message)
				case e.Step == e.TotalSteps || e.EvalLoss != nil || e.Step%50 == 0:
					fmt.Fprintf(os.Stderr, "  %s\n", eventLine(e))
				}
			})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(all)
			}
			if err := graft.PrintComparison(os.Stdout, all); err != nil {
				return err
			}
			fmt.Printf("\nwritten  %s\n", filepath.Join(cfg.Train.OutputDir, "compare.html"))
			return nil
		},
	}
}

// alternatives are the methods that a flag lists; nil for none.
func alternatives(c *cli.Context, flag string) (list []string, err error) {
	switch text := c.String(flag); text {
	case "":
		return nil, nil
	case "all":
		return config.Alternatives(), nil
	default:
		list = strings.Split(text, ",")
	}
	for _, m := range list {
		if !slices.Contains(config.Alternatives(), m) {
			return nil, failure.Usage("--%s %s: the methods are %s", flag, m, strings.Join(config.Alternatives(), ", "))
		}
	}
	return list, nil
}

// planComparison plans methods beside each other, from a config.json alone.
func planComparison(c *cli.Context) error {
	cfg, load, err := comparedConfig(c)
	if err != nil {
		return err
	}
	shape, err := graft.PlannedModel(cfg.Model.Path)
	if err != nil {
		return err
	}
	profile, limit, err := graft.Machine(cfg)
	if err != nil {
		return err
	}
	records := c.Int("records")
	if !c.IsSet("records") {
		if records, err = graft.CountRecords(c.Context, cfg); err != nil {
			return err
		}
	}
	methods, err := alternatives(c, "compare")
	if err != nil {
		return err
	}
	if methods == nil {
		methods = []string{cfg.Alternative()}
	}
	rows := graft.Shape{MicroBatch: cfg.Train.MicroBatch, Sequence: min(cfg.Data.MaxSeqLength, shape.MaxPositions)}
	var all []graft.Alternative
	for _, name := range methods {
		own, err := load(name)
		if err != nil {
			return err
		}
		a, err := graft.PlanMethod(shape, own, profile, rows, limit)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, a)
	}
	advice := graft.Advice(all, limit, records)
	if c.Bool("json") {
		return printJSON(map[string]any{"model": cfg.Model.Path, "device": profile.Name, "micro_batch_size": rows.MicroBatch,
			"sequence": rows.Sequence, "memory": limit, "records": records, "methods": all, "advice": advice})
	}
	fmt.Printf("%s on %s, micro-batches of %d x %d tokens", cfg.Model.Path, profile.Name, rows.MicroBatch, rows.Sequence)
	if records > 0 {
		fmt.Printf(", %d records", records)
	}
	if limit > 0 {
		fmt.Printf(", %s of memory", size(limit))
	}
	fmt.Print("\n\n")
	printAlternatives(all, limit)
	fmt.Printf("\nadvice  %s\n", advice)
	return nil
}

// comparedConfig is the run file, if there is one, with the flags; load gives it
// as another method.
func comparedConfig(c *cli.Context) (cfg *config.Config, load func(method string) (*config.Config, error), err error) {
	sets := settings(c)
	if m := c.String("model"); m != "" {
		sets = append(sets, fmt.Sprintf("model.path=%q", m))
	}
	if c.NArg() > 0 {
		path, err := oneArgument(c, "a run file")
		if err != nil {
			return nil, nil, err
		}
		cfg, err = config.Load(path, sets)
		return cfg, func(method string) (*config.Config, error) { return config.LoadAs(path, method, sets) }, err
	}
	if c.String("model") == "" {
		return nil, nil, failure.Usage("graft plan --compare takes a run file, or --model with a directory, a config.json or a known shape")
	}
	cfg, err = config.Parse("--compare", nil, sets)
	return cfg, func(method string) (*config.Config, error) { return config.ParseAs("--compare", nil, method, sets) }, err
}

func printAlternatives(all []graft.Alternative, limit int64) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "method\ttrainable\tshare\tweights\tparameters\tgradients\toptimizer\tactivations\tlogits\tworkspace\tin all\tfile\tGFLOP/token\t"
	if limit > 0 {
		head += "largest batch\tlongest row\t"
	}
	fmt.Fprintln(w, head)
	for _, a := range all {
		x := a.Parts
		fmt.Fprintf(w, "%s\t%s\t%.3g %%\t", a.Method, count(a.Trainable), 100*a.Share)
		for _, n := range []int64{x.Weights, x.Parameters, x.Gradients, x.Optimizer, x.Activations, x.Logits, x.Workspace + x.Staging + x.Other, a.Total, a.FileBytes} {
			fmt.Fprintf(w, "%s\t", size(n))
		}
		fmt.Fprintf(w, "%.3g\t", a.FLOPs/1e9)
		if limit > 0 {
			fmt.Fprintf(w, "%s\t%s\t", orNone(a.LargestBatch), orNone(a.LargestSequence))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Println()
	for _, a := range all {
		switch {
		case limit > 0 && a.Total > limit:
			fmt.Printf("%s does not fit in %s: it needs %s resident", a.Method, size(limit), size(a.Total))
		case limit <= 0 && a.Streamed < a.Total:
			fmt.Printf("%s needs %s resident", a.Method, size(a.Total))
		default:
			continue
		}
		if a.Streamed < a.Total {
			fmt.Printf("; with a frozen base streamed two layers at a time, which graft does not do, %s", size(a.Streamed))
		}
		fmt.Println()
	}
}

func orNone(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
